"""The models behind the service: each turns a Prompt into a Generation."""
