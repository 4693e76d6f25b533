"""The models that a service offers; they may come and go while requests run."""

from typing import Protocol

from helpers.errors import InputError
from helpers.service.generation import Generation, Prompt
from helpers.service.http_errors import ServiceError


class ServedModel(Protocol):
    """What the service needs of a model: a name, and an answer to a prompt."""

    name: str

    async def answer(self, prompt: Prompt) -> Generation:
        """Answer, or raise a ServiceError that says what it cannot do."""


class Registry:
    """Models by name, and aliases that stand for one of them.

    A request keeps the model it began with, so exchanging one drops nothing.
    """

    def __init__(self, *models: ServedModel):
        """Offer these models."""
        self._models = {model.name: model for model in models}
        self._aliases: dict[str, ServedModel] = {}
        self.draining = False  # then /ready says no; requests are still answered

    @property
    def names(self) -> list[str]:
        """All names that a request may use."""
        return [*self._models, *self._aliases]

    def add(self, model: ServedModel) -> None:
        """Offer one more model.

        Raises:
            InputError: the name is taken.

        """
        if model.name in self.names:
            raise InputError(f"There is a model {model.name!r} already: {self.names}.")
        self._models[model.name] = model

    def set_alias(self, alias: str, name: str) -> None:
        """Let an alias stand for a model; from the next request on.

        Raises:
            InputError: no such model, or the alias is the name of a model.

        """
        if name not in self._models or alias in self._models:
            raise InputError(f"Cannot let {alias!r} stand for {name!r}: {self.names}.")
        self._aliases[alias] = self._models[name]

    def remove(self, name: str) -> None:
        """Stop offering a model; requests that began with it still get their answer.

        Raises:
            InputError: no such model, or an alias still stands for it.

        """
        aliases = {alias: model.name for alias, model in self._aliases.items()}
        if name not in self._models or name in aliases.values():
            raise InputError(
                f"Cannot remove {name!r}: there are {list(self._models)}, and these "
                f"aliases stand for them: {aliases}."
            )
        del self._models[name]

    def allowed(self, models: tuple[str, ...] | None) -> list[str]:
        """Names that a role may use; an alias is a name of its own."""
        return [name for name in self.names if models is None or name in models]

    def find(self, name: str, models: tuple[str, ...] | None = None) -> ServedModel:
        """The model of a name, if a role may use it; else it does not exist for it.

        Raises:
            ServiceError: 404, saying which there are.

        """
        names = self.allowed(models)
        model = self._models.get(name) or self._aliases.get(name)
        if model is None or name not in names:
            raise ServiceError(
                404,
                f"The model {name!r:.80} does not exist here. There is: "
                f"{', '.join(names) or 'none'}. Set OPENAI_MODEL to one of them.",
                "model_not_found",
                "model",
            )
        return model
