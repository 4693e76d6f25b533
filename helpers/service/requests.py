"""OpenAI's protocol, one way: what requests may hold. See fields.py for the rest."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from helpers.gpt import NAME as GPT
from helpers.gpt import TOP
from helpers.service.fields import LOGPROBS, acting
from helpers.service.generation import Prompt
from helpers.service.http_errors import bad_request
from helpers.service.messages import (
    Format,
    Json,
    Messages,
    TextOptions,
    as_messages,
    conversation,
)

MAX_ANSWERS = 8  # to one request
INCLUDABLE = (  # what is not there cannot be included, so asking for it is harmless
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
)


class Request(BaseModel):
    """What every request has."""

    model_config = ConfigDict(strict=True)
    model: str = Field(max_length=200)

    @model_validator(mode="before")
    @classmethod
    def _acting(cls, values: Any) -> Any:
        return acting(values, cls.model_fields) if isinstance(values, dict) else values


class GenerationRequest(Request):
    """What all requests for text have."""

    stream: bool | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)

    def check(self, samples: bool) -> None:
        """Refuse what a model cannot follow; samples: whether it draws tokens.

        Raises:
            ServiceError: 400, naming the option and what to do.

        """
        asked = {
            "n": getattr(self, "n", None) not in (None, 1),
            "logprobs": getattr(self, "logprobs", None) is not None,
        }
        for name in asked:
            if asked[name] and not samples:
                raise bad_request(
                    f"{self.model:.80} always gives its likeliest answer, without "
                    f"probabilities of tokens. Leave {name} out, or ask {GPT}.",
                    "unsupported_parameter",
                    name,
                )

    def options(self) -> Json:
        """What a Prompt takes as it is; left out where OpenAI's default holds."""
        found = {"temperature": self.temperature, "top_p": self.top_p}
        return {name: value for name, value in found.items() if value is not None}


def _stops(given: Any) -> Any:
    """One text or several; an empty one stops nothing."""
    given = [given] if isinstance(given, str) else given
    return [one for one in given if one != ""] if isinstance(given, list) else given


Stop = Annotated[str, Field(max_length=100)]


class StreamOptions(BaseModel):
    """stream_options: whether a stream ends with the count of tokens."""

    include_usage: Annotated[bool | None, Field(strict=True)] = None


class ChoiceRequest(GenerationRequest):
    """What completions and chat completions have on top of that."""

    n: int | None = Field(None, ge=1, le=MAX_ANSWERS)
    seed: int | None = None
    stop: Annotated[
        list[Stop] | None, Field(max_length=4, fail_fast=True), BeforeValidator(_stops)
    ] = None
    max_tokens: int | None = Field(None, ge=1)
    stream_options: StreamOptions | None = None

    def options(self) -> Json:
        """The same, with seed and stop strings."""
        stop = tuple(self.stop or ())
        return {**super().options(), "seed": self.seed, "stop": stop}

    def several(self, prompt: Prompt) -> list[Prompt]:
        """One for each of the n answers."""
        return [replace(prompt, choice=number) for number in range(self.n or 1)]

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the count of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(ChoiceRequest):
    """Body of POST /v1/chat/completions."""

    messages: Annotated[Messages, Field(min_length=1)]
    response_format: Format | None = None
    max_completion_tokens: int | None = Field(None, ge=1)

    def prompts(self) -> list[Prompt]:
        """One for each answer."""
        schema = self.response_format.asked if self.response_format else None
        limit = self.max_completion_tokens or self.max_tokens
        said = conversation("", self.messages)
        return self.several(
            Prompt(*said, schema, limit, place="messages", **self.options())
        )


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


Texts = Annotated[list[str], Field(fail_fast=True), BeforeValidator(_texts)]


class CompletionRequest(ChoiceRequest):
    """Body of POST /v1/completions: each prompt is a user message without others."""

    prompt: Annotated[Texts, Field(min_length=1)]
    logprobs: int | None = Field(None, ge=0, le=TOP)  # so many of the likeliest tokens

    def prompts(self) -> list[Prompt]:
        """One for each answer.

        Raises:
            ServiceError: 400, too many in all.

        """
        if len(self.prompt) * (self.n or 1) > MAX_ANSWERS:
            raise bad_request(
                f"{len(self.prompt)} prompts with n={self.n or 1}: a request gets at "
                f"most {MAX_ANSWERS} answers.",
                "invalid_request",
                "prompt",
            )
        options = {"place": "prompt", "max_tokens": self.max_tokens, **self.options()}
        found = [Prompt("", (("user", text),), **options) for text in self.prompt]
        return [one for prompt in found for one in self.several(prompt)]


def _includable(name: Any) -> Any:
    if name == "message.output_text.logprobs":
        raise ValueError(LOGPROBS)
    return name


class ResponsesRequest(GenerationRequest):
    """Body of POST /v1/responses."""

    input: Annotated[Messages, BeforeValidator(as_messages)]
    instructions: str | None = None
    text: TextOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    include: Annotated[
        list[Annotated[Literal[INCLUDABLE], BeforeValidator(_includable)]] | None,
        Field(max_length=len(INCLUDABLE), fail_fast=True),
    ] = None

    def prompts(self) -> list[Prompt]:
        """One: this endpoint gives one answer."""
        form = self.text.format if self.text else None
        said = conversation(self.instructions or "", self.input)
        schema, limit = form.asked if form else None, self.max_output_tokens
        return [Prompt(*said, schema, limit, **self.options())]


class EmbeddingsRequest(Request):
    """Body of POST /v1/embeddings."""

    input: Texts
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(None, ge=1)
