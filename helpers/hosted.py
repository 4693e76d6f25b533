"""Which large model the notebooks talk to: the one place that reads the settings.

OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL name a hosted model. If neither key nor
base URL is set (empty counts as unset), the local service of helpers.service answers.
"""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from helpers.errors import CourseError
from helpers.promptable import NAME

if TYPE_CHECKING:
    import ssl

    from httpx2 import Response
    from openai import AsyncOpenAI, OpenAI

    from helpers.service import Service

NETWORK = ("_proxy", "ssl_cert_file", "ssl_cert_dir")  # ends of such settings' names
_local: "Service | None" = None


class ConnectionProblem(CourseError):
    """The model cannot be reached, or it refuses the settings."""


@dataclass(frozen=True)
class Hosted:
    """A model that answers, and the clients to ask it."""

    client: "OpenAI" = field(repr=False)
    async_client: "AsyncOpenAI" = field(repr=False)
    model: str
    where: str  # "local service", or the base URL
    api: str  # "responses", or "chat" where the server has only chat completions


def _setting(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def local_service() -> "Service":
    """The local service of this process; started if it is not running."""
    global _local
    if _local is None or not _local.running:
        from helpers.service import start

        _local = start()
    return _local


def connect() -> Hosted:
    """Connect to the model that the environment names, or to the local service.

    Raises:
        ConnectionProblem: nothing answers, the key is refused, or no such model.

    """
    import openai

    key, url = _setting("OPENAI_API_KEY"), _setting("OPENAI_BASE_URL")
    model, where = _setting("OPENAI_MODEL"), url or "https://api.openai.com/v1"
    if not key and not url:
        service = local_service()
        key, url, where = service.key, service.base_url, "local service"
        model = model or NAME
    if url and not url.startswith(("http://", "https://")):
        raise ConnectionProblem(f"OPENAI_BASE_URL={url!r} must begin with http(s)://.")
    if key and (not key.isascii() or len(key.split()) > 1):
        raise ConnectionProblem("OPENAI_API_KEY is not a key. Copy it anew, complete.")
    clients = _clients(where if url is None else url, key or "none")
    probe = clients[0].with_options(timeout=60, max_retries=0)
    try:
        offered, api = _offered(probe), _api(probe)
        if model is None:
            raise ConnectionProblem(
                f"OPENAI_MODEL is not set. {where} offers: {_some(offered)}."
            )
        if NAME in offered and model not in offered:  # a service of this course
            raise ConnectionProblem(
                f"OPENAI_MODEL={model!r} is not served here; there is {_some(offered)}."
            )
    except openai.AuthenticationError as error:
        raise ConnectionProblem(
            f"{where} refuses the key in OPENAI_API_KEY ({error.status_code}). "
            "Check that it is complete and belongs to that server."
            if key
            else f"{where} wants a key, and OPENAI_API_KEY is not set."
        ) from error
    except openai.APIConnectionError as error:
        raise ConnectionProblem(
            f"Nothing answers at {where}. Start that server, correct OPENAI_BASE_URL, "
            "or unset OPENAI_API_KEY and OPENAI_BASE_URL to use the local service."
        ) from error
    except (openai.APIError, ValueError, AttributeError) as error:
        raise ConnectionProblem(
            f"What answers at {where} does not speak OpenAI's protocol "
            f"({type(error).__name__}). Check OPENAI_BASE_URL; most end with /v1."
        ) from error
    return Hosted(*clients, model, where, api)


def _clients(base_url: str, key: str) -> "tuple[OpenAI, AsyncOpenAI]":
    """Both clients; a server on this machine is never asked through a proxy."""
    import httpx2
    import openai

    settings = {"base_url": base_url, "api_key": key}
    try:
        if httpx2.URL(base_url).host in ("127.0.0.1", "localhost", "::1"):
            return local_client(**settings), local_async_client(**settings)
    except (httpx2.InvalidURL, ValueError) as error:
        raise ConnectionProblem(
            f"OPENAI_BASE_URL={base_url!r} is not an address: {error}."
        ) from error
    try:
        return openai.OpenAI(**settings), openai.AsyncOpenAI(**settings)
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
        names = [name for name in os.environ if name.lower().endswith(NETWORK)]
        raise ConnectionProblem(
            f"No client can be made with the settings of this machine's network "
            f"({', '.join(names) or 'none is set'}): {error}. Correct or unset them."
        ) from error


WAIT = 600  # seconds: a busy machine may need more than the usual 5 to connect


def local_client(
    base_url: str, api_key: str, verify: "ssl.SSLContext | bool" = True, **options: Any
) -> "OpenAI":
    """An openai client of a server on this machine; it never asks a proxy.

    Args:
        base_url: ends with /v1.
        api_key: its key.
        verify: whose certificates are trusted; see helpers.service.tls.client_side.
        options: of openai.OpenAI, such as max_retries, timeout, default_headers.

    """
    import openai

    direct = openai.DefaultHttpxClient(trust_env=False, verify=verify)
    settings = {"http_client": direct, "timeout": WAIT} | options
    return openai.OpenAI(base_url=base_url, api_key=api_key, **settings)


def local_async_client(base_url: str, api_key: str, **options: Any) -> "AsyncOpenAI":
    """The same for asyncio."""
    import openai

    direct = openai.DefaultAsyncHttpxClient(trust_env=False)
    settings = {"http_client": direct, "timeout": WAIT} | options
    return openai.AsyncOpenAI(base_url=base_url, api_key=api_key, **settings)


def local_get(url: str) -> "Response":
    """What a GET of an address on this machine answers; it never asks a proxy."""
    import httpx2

    return httpx2.get(url, trust_env=False, timeout=WAIT)


def _offered(client: "OpenAI") -> list[str]:
    """Names of the models a server offers; empty if it has no such list."""
    import openai

    try:
        return [entry.id for entry in client.models.list()]
    except openai.AuthenticationError:
        raise
    except openai.APIStatusError:
        return []


def _api(client: "OpenAI") -> str:
    """Whether the server has /responses; an empty request costs nothing.

    Anything but "not found" and "not allowed" says that a route exists.
    """
    import openai

    forbidden = False
    for path, api in (("/responses", "responses"), ("/chat/completions", "chat")):
        try:
            client.post(path, body={}, cast_to=object)
            return api
        except openai.AuthenticationError:
            raise
        except openai.APIStatusError as error:
            if error.status_code not in (403, 404, 405, 501):
                return api
            forbidden |= error.status_code == 403
    if forbidden:
        raise ConnectionProblem(
            f"{client.base_url} forbids this key to call a model (403). Ask its owner "
            "for a key that may use /responses or /chat/completions."
        )
    raise ConnectionProblem(
        f"{client.base_url} has neither /responses nor /chat/completions. Most "
        "base URLs end with /v1: check OPENAI_BASE_URL."
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:8]) or "no list of models"
    return f"{shown}, ..." if len(names) > 8 else shown
