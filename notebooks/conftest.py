"""Check every notebook strictly: see tests/strict_nbval.py."""

from strict_nbval import *  # noqa: F403
