"""A local model service that speaks OpenAI's protocol, on this machine only.

start() runs it in a thread; `python -m helpers.service` runs it in the foreground. It
serves small models trained in this course. It is not a large language model: what it
cannot do gets an error that says so.
"""

import atexit
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.errors import CourseError, InputError
from helpers.hosted import local_client

if TYPE_CHECKING:
    from openai import OpenAI

    from helpers.service.backends.registry import ServedModel
    from helpers.service.tls import Tls

HOST = "127.0.0.1"


class Running(AbstractContextManager):
    """What runs at an address of this machine, and ends with `with`, or by stop()."""

    base_url: str
    key: str

    def client(self, **options: Any) -> "OpenAI":
        """An openai client of this service, with its key; see local_client."""
        return local_client(self.base_url, self.key, **options)

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()


class Service(Running):
    """A running service. Use it with `with`, or call stop() yourself."""

    def __init__(self, server, models, keys, log, sock: socket.socket, key: str):
        """Serve on a bound socket in a thread; see start()."""
        self._server, self._log = server, log
        self.models, self.keys = models, keys
        self.key = key
        self.port: int = sock.getsockname()[1]
        scheme = "https" if server.config.is_ssl else "http"
        self.base_url = f"{scheme}://{HOST}:{self.port}/v1"
        self._thread = threading.Thread(
            target=server.run, kwargs={"sockets": [sock]}, daemon=True, name="service"
        )
        self._thread.start()
        atexit.register(self.stop)

    @property
    def running(self) -> bool:
        """Whether the service answers."""
        return self._thread.is_alive() and self._server.started

    def access_log(self) -> list[dict[str, Any]]:
        """The last requests: who called what, when, with what status; no text."""
        return list(self._log.entries)

    def misbehave(self, owner: str, fault: str | None) -> None:
        """Give every request of an owner's keys a teaching fault; None ends it.

        Raises:
            InputError: no such owner. (A fault that does not exist gets a 400.)

        """
        if not self.keys.of(owner):
            raise InputError(f"Nobody called {owner!r} has a key.")
        for api_key in self.keys.of(owner):
            api_key.fault = fault

    def drain(self) -> None:
        """Ask for no new requests: /ready says 503; what still comes is answered."""
        self.models.draining = True

    def stop(self, seconds: float = 5.0) -> None:
        """Finish what is in flight, for so many seconds, close the port, and end.

        Behind a proxy, call drain() first and wait until it has looked at /ready.
        """
        self.drain()
        self._server.config.timeout_graceful_shutdown = seconds
        self._server.should_exit = True
        self._thread.join(seconds + 2)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(5)
        self._log.close()
        atexit.unregister(self.stop)


def start(
    port: int = 0,
    *,
    keys=None,
    faults: bool = False,
    log_folder: Path | None = None,
    answer_seconds: float = 60.0,
    more: Sequence["ServedModel"] = (),
    tls: "Tls | None" = None,
) -> Service:
    """Start the service in a thread and wait until it answers.

    Args:
        port: 0 picks a free one.
        keys: helpers.service.keys.Keys; else one owner, "notebook", with Service.key.
        faults: whether requests may ask for deliberate faults (see service/faults.py).
        log_folder: where the access log goes; by default it is kept in memory.
        answer_seconds: after which a request gets error 504 instead of an answer.
        more: models to offer from the beginning, besides the course's own.
        tls: files for HTTPS; a client must trust them (see service/tls.py).

    Raises:
        CourseError: the port is in use, a file of tls cannot be used, or the service
            does not start.

    """
    import uvicorn

    from helpers.gpt import load_gpt
    from helpers.promptable import load_promptable
    from helpers.service.access_log import AccessLog
    from helpers.service.app import build_app
    from helpers.service.backends.gpt import GptModel
    from helpers.service.backends.prompted import PromptedModel
    from helpers.service.backends.registry import Registry
    from helpers.service.connection import KEEP_ALIVE, Connection
    from helpers.service.keys import Keys
    from helpers.service.metrics import Metrics
    from helpers.service.tls import server_side

    context = server_side(tls) if tls else None
    _allow_files()
    sock, key = _bind(port), ""
    try:
        if keys is None:
            keys = Keys(60_000, 10_000)
            key = keys.new("notebook")
        log = AccessLog(log_folder)
        models = Registry(PromptedModel(load_promptable()), GptModel(load_gpt()))
        for model in more:
            models.add(model)
        app = build_app(models, keys, log, Metrics(), faults, answer_seconds)
    except BaseException:
        sock.close()
        raise
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",  # the same with and without uvloop
        log_config=None,  # its own would close the log handlers of this process
        log_level="critical",
        access_log=False,  # there is one of our own
        timeout_keep_alive=KEEP_ALIVE,
        ssl_context_factory=(lambda *_: context) if context else None,
    )
    service = Service(uvicorn.Server(config), models, keys, log, sock, key)
    patience = time.monotonic() + 60
    while not service.running:
        if time.monotonic() > patience or not service._thread.is_alive():
            service.stop()
            raise CourseError("The service did not start. Try again.")
        time.sleep(0.005)
    return service


def _allow_files(wanted: int = 4096) -> None:
    """Let this process have 1,000 connections open; macOS allows 256 files at first."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bind(port: int) -> socket.socket:
    """A listening socket on this machine only."""
    sock = socket.socket(proto=socket.IPPROTO_TCP)  # else asyncio leaves Nagle on
    if sys.platform != "win32":  # there it would let two services share a port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    try:
        sock.bind((HOST, port))
        sock.listen(1024)
    except (OSError, OverflowError) as error:
        sock.close()
        raise CourseError(
            f"Port {port} cannot be used: {getattr(error, 'strerror', 0) or error}. "
            "Stop the program that uses it, or choose another; 0 takes a free one."
        ) from error
    return sock
