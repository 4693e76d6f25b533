"""The models that a service offers; they may come and go while requests run."""

from typing import Protocol

from starlette.concurrency import run_in_threadpool

from helpers.errors import InputError
from helpers.promptable import NAME, Promptable
from helpers.service.errors import ServiceError
from helpers.service.prompt import Answer, Ask, answer

LONG = 20_000  # characters: a longer prompt is answered outside the event loop


class Served(Protocol):
    """What the service needs of a model: a name, and an answer to a question."""

    name: str
    samples: bool = False  # whether temperature, top_p, n, stop and logprobs act

    async def answer(self, ask: Ask) -> Answer:
        """Answer, or raise a ServiceError that says what it cannot do."""


class PromptableModel:
    """workorder-promptable behind the protocol."""

    name = NAME

    def __init__(self, model: Promptable):
        """Serve a fitted model."""
        self.model = model

    async def answer(self, ask: Ask) -> Answer:
        """Classify the last user message as the prompt says; see prompt.answer."""
        texts = [ask.instructions, *(text for _, text in ask.turns), str(ask.schema)]
        if sum(map(len, texts)) > LONG:
            return await run_in_threadpool(answer, self.model, ask)
        return answer(self.model, ask)


class Models:
    """Models by name, and other names that point to one of them.

    A request keeps the model it began with, so exchanging one drops nothing.
    """

    def __init__(self, *models: Served):
        """Offer these models."""
        self._models = {model.name: model for model in models}
        self._points: dict[str, Served] = {}
        self.draining = False  # then /ready says no; requests are still answered

    @property
    def names(self) -> list[str]:
        """All names that a request may use."""
        return [*self._models, *self._points]

    def add(self, model: Served) -> None:
        """Offer one more model.

        Raises:
            InputError: the name is taken.

        """
        if model.name in self.names:
            raise InputError(f"There is a model {model.name!r} already: {self.names}.")
        self._models[model.name] = model

    def point(self, alias: str, name: str) -> None:
        """Let an alias stand for a model; from the next request on.

        Raises:
            InputError: no such model, or the alias is the name of a model.

        """
        if name not in self._models or alias in self._models:
            raise InputError(f"Cannot let {alias!r} stand for {name!r}: {self.names}.")
        self._points[alias] = self._models[name]

    def remove(self, name: str) -> None:
        """Stop offering a model; requests that began with it still get their answer.

        Raises:
            InputError: no such model, or an alias still points to it.

        """
        points = {alias: model.name for alias, model in self._points.items()}
        if name not in self._models or name in points.values():
            raise InputError(
                f"Cannot remove {name!r}: there are {list(self._models)}, and these "
                f"names point to them: {points}."
            )
        del self._models[name]

    def find(self, name: str) -> Served:
        """The model of a name.

        Raises:
            ServiceError: 404, saying which there are.

        """
        model = self._models.get(name) or self._points.get(name)  # one look each
        if model is None:
            raise ServiceError(
                404,
                f"The model {name!r:.80} does not exist here. There is: "
                f"{', '.join(self.names)}. Set OPENAI_MODEL to one of them.",
                "model_not_found",
                "model",
            )
        return model
