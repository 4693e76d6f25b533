"""What passes between the protocol and a model: a Prompt in, a Generation out."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from helpers.gpt import NAME as GPT
from helpers.gpt import Step
from helpers.service.http_errors import bad_request

_TOKEN = re.compile(r"\s*\w{1,4}|\s*[^\w\s]|\s+")


@dataclass(frozen=True)
class Prompt:
    """One request, whichever endpoint it came by."""

    instructions: str
    turns: tuple[tuple[str, str], ...]  # (role, text), role is user or assistant
    schema: dict[str, Any] | None = None
    max_tokens: int | None = None
    place: str = "input"  # the field that holds the text, for error messages
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    logprobs: bool = False  # whether log probabilities of the tokens are asked for

    @property
    def text(self) -> str:
        """The last user message.

        Raises:
            ServiceError: 400, the last message is not the user's.

        """
        if not self.turns or self.turns[-1][0] != "user":
            raise bad_request("The last message must be the user's.", "no_user_message")
        return self.turns[-1][1]


@dataclass(frozen=True)
class Generation:
    """What a model writes; a lazy iterator of steps computes each token when asked."""

    steps: Iterable[Step]
    input_tokens: int
    refused: bool = False  # then the text says why
    close: Callable[[], None] = lambda: None  # called once, when the request has ended

    @property
    def text(self) -> str:
        """The whole text, of steps that are there already."""
        return "".join(step.token for step in self.steps)

    @classmethod
    def whole(cls, text: str, input_tokens: int, prompt: Prompt) -> "Generation":
        """A text that was thought out in one go, cut as the prompt's options ask.

        Raises:
            ServiceError: 400, log probabilities are asked for.

        """
        if prompt.logprobs:
            raise bad_request(
                "This model always gives its likeliest answer, without probabilities "
                f"of tokens. Leave logprobs out, or ask {GPT}.",
                "unsupported_parameter",
                "logprobs",
            )
        for stop in prompt.stop:
            text = text.partition(stop)[0]
        tokens, limit = tokenize(text) or [""], prompt.max_tokens
        finish = "length" if limit and len(tokens) > limit else "stop"
        steps = [Step(token, 0.0, ()) for token in tokens[:limit]]
        steps[-1] = steps[-1]._replace(finish=finish)
        return cls(tuple(steps), input_tokens)


def tokenize(text: str) -> list[str]:
    """Cut a text into tokens: up to four letters or one sign, with the space before."""
    return _TOKEN.findall(text)
