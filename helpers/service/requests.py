"""OpenAI's protocol, one way: what requests may hold. See fields.py for the rest."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from helpers.gpt import TOP
from helpers.promptable import DIMENSIONS
from helpers.service.generation import Prompt
from helpers.service.messages import (
    Format,
    Json,
    Messages,
    TextOptions,
    as_messages,
    conversation,
)

MAX_TEXTS = 2048  # in one embeddings request


class Request(BaseModel):
    """What every request has."""

    model_config = ConfigDict(strict=True)
    model: str = Field(max_length=200)


class GenerationRequest(Request):
    """What all requests for text have."""

    stream: bool = False
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)

    def options(self) -> Json:
        """What a Prompt takes as it is."""
        return {"temperature": self.temperature, "top_p": self.top_p}


def _stops(given: Any) -> Any:
    """One text or several; an empty one stops nothing."""
    given = [given] if isinstance(given, str) else given
    return [one for one in given if one != ""] if isinstance(given, list) else given


Stop = Annotated[str, Field(max_length=100)]


class StreamOptions(BaseModel):
    """stream_options: whether a stream ends with the count of tokens."""

    include_usage: Annotated[bool | None, Field(strict=True)] = None


class OlderRequest(GenerationRequest):
    """What completions and chat completions have on top of that."""

    seed: int | None = None
    stop: Annotated[
        list[Stop], Field(max_length=4, fail_fast=True), BeforeValidator(_stops)
    ] = []
    max_tokens: int | None = Field(None, ge=1)
    stream_options: StreamOptions = StreamOptions()

    def options(self) -> Json:
        """The same, with seed and stop strings."""
        return {**super().options(), "seed": self.seed, "stop": tuple(self.stop)}


class ChatRequest(OlderRequest):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[Messages, Field(min_length=1)]
    response_format: Format = Format(type="text")
    max_completion_tokens: int | None = Field(None, ge=1)

    def as_prompt(self) -> Prompt:
        """The conversation, and the form of the answer."""
        limit = self.max_completion_tokens or self.max_tokens
        said, schema = conversation("", self.messages), self.response_format.asked
        return Prompt(*said, schema, limit, "messages", **self.options())


def _texts(given: Any) -> Any:
    """One text or several; token ids of another vocabulary mean nothing here."""
    if isinstance(given, list) and given and not isinstance(given[0], str):
        raise ValueError(
            "Send texts, not token ids (with LangChain: "
            "OpenAIEmbeddings(check_embedding_ctx_length=False))."
        )
    if not isinstance(given, str | list):
        raise ValueError("Send a text or a list of texts.")
    return [given] if isinstance(given, str) else given


def _only_text(given: Any) -> Any:
    """The one text of a prompt."""
    texts = _texts(given)
    if len(texts) != 1:
        raise ValueError("A request takes one prompt: for several, send several.")
    return texts[0]


class CompletionRequest(OlderRequest):
    """Body of POST /v1/completions: the prompt is a user message without others."""

    prompt: Annotated[str, BeforeValidator(_only_text)]
    logprobs: int | None = Field(None, ge=0, le=TOP)  # so many of the likeliest tokens

    def as_prompt(self) -> Prompt:
        """The text alone."""
        turns, asked = (("user", self.prompt),), self.logprobs is not None
        options = {**self.options(), "logprobs": asked}
        return Prompt("", turns, None, self.max_tokens, "prompt", **options)


class ResponsesRequest(GenerationRequest):
    """Body of POST /v1/responses."""

    input: Annotated[Messages, BeforeValidator(as_messages)]
    instructions: str = ""
    text: TextOptions = TextOptions()
    max_output_tokens: int | None = Field(None, ge=1)

    def as_prompt(self) -> Prompt:
        """Instructions, conversation, and the form of the answer."""
        form, said = self.text.format, conversation(self.instructions, self.input)
        schema = form.asked if form else None
        return Prompt(*said, schema, self.max_output_tokens, **self.options())


class EmbeddingsRequest(Request):
    """Body of POST /v1/embeddings."""

    input: Annotated[
        list[str],
        Field(min_length=1, max_length=MAX_TEXTS, fail_fast=True),
        BeforeValidator(_texts),
    ]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Literal[DIMENSIONS] = DIMENSIONS
