"""What every request passes: id, key, limit, size and time; and what is noted of it."""

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpers.service.errors import ServiceError, overloaded
from helpers.service.keys import Keys, Line
from helpers.service.protocol import JsonResponse, new_id

MAX_BODY = 1_000_000  # bytes
LONG = 20_000  # bytes: longer requests are worked on one at a time
MAX_INSIDE = 1000  # requests at a time; more are refused at once
BODY_SECONDS = 10.0  # for a request to arrive


class Audit:
    """Who called what and when, never what an order said. JSON lines, 1 MB a file."""

    def __init__(self, path: Path | None):
        """Keep the last 10,000 entries in memory, and write to path if one is given."""
        self.entries: deque[dict[str, Any]] = deque(maxlen=10_000)
        self._handler: RotatingFileHandler | None = None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handler = RotatingFileHandler(
                path, maxBytes=1_000_000, backupCount=3, encoding="utf-8"
            )

    def note(self, entry: dict[str, Any]) -> None:
        """Add one entry."""
        self.entries.append(entry)
        if self._handler:
            text = json.dumps(entry)
            record = logging.LogRecord("audit", logging.INFO, "", 0, text, None, None)
            self._handler.emit(record)

    def close(self) -> None:
        """Close the file."""
        if self._handler:
            self._handler.close()


class Metrics:
    """Counters and times of one service, in Prometheus form."""

    def __init__(self) -> None:
        """Make a registry of its own: several services may live in one process."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "course_requests",
            "Requests answered",
            ["route", "line", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "course_request_seconds",
            "Time from request to last byte",
            ["route"],
            registry=self.registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
        )
        self.tokens = Counter(
            "course_tokens",
            "Tokens read and written",
            ["line", "kind"],
            registry=self.registry,
        )


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        audit: Audit,
        metrics: Metrics,
        answer_seconds: float,
    ):
        """Wrap an application."""
        self.app, self.keys, self.audit, self.metrics = app, keys, audit, metrics
        self.answer_seconds = answer_seconds
        self._inside = 0
        self._turn = asyncio.Semaphore()  # of the long requests: bounds the memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it with an error in OpenAI's shape."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, number = time.perf_counter(), new_id("req")
        state = scope.setdefault("state", {})
        state.update(tokens=(0, 0), model=None, line=None)
        status = [499]  # the client left before an answer began
        noted: list[bool] = []
        extra: dict[str, str] = {"x-request-id": number}

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                took = (time.perf_counter() - start) * 1e3
                headers = MutableHeaders(scope=message)
                headers.update({**extra, "openai-processing-ms": f"{took:.0f}"})
            elif not message.get("more_body"):
                note()  # first: who has the answer may look for its entry at once
            await send(message)

        def note() -> None:
            if not noted:
                noted.append(True)
                self._note(scope, number, status[0], time.perf_counter() - start)

        self._inside += 1
        try:
            try:
                # Outside /v1 neither a key nor a body is needed.
                v1 = scope["path"].startswith("/v1")
                if v1 and self._inside > MAX_INSIDE:
                    raise overloaded(f"{MAX_INSIDE} requests are being worked on.")
                if v1:
                    state["line"] = line = self._line(scope)
                    extra |= self._limit(line)
                body = await self._body(scope, receive) if v1 else b""
                turn = self._turn if len(body) > LONG else contextlib.nullcontext()
                async with asyncio.timeout(self.answer_seconds), turn:
                    await self.app(scope, _replay(body, receive), noting_send)
            except Exception as error:
                if status[0] != 499:
                    raise  # the answer has begun: all that is left is to break it off
                known = _known(error)
                extra |= known.headers
                answer = JsonResponse(known.body, known.status)
                await answer(scope, receive, noting_send)
        finally:
            self._inside -= 1
            note()

    def _line(self, scope: Scope) -> Line:
        sent = Headers(scope=scope).get("authorization", "")
        line = self.keys.find(sent)
        if line is None:
            what = "This API key is not known" if sent else "No API key was sent"
            raise ServiceError(
                401,
                f"{what}. Send it as 'Authorization: Bearer <key>' (OPENAI_API_KEY).",
                "invalid_api_key",
            )
        return line

    def _limit(self, line: Line) -> dict[str, str]:
        """Take a token from the line's bucket; the headers that tell how many are left.

        Raises:
            ServiceError: 429, with the time to wait.

        """
        bucket = line.bucket
        wait = bucket.take()
        headers = {
            "x-ratelimit-limit-requests": f"{bucket.size:.0f}",
            "x-ratelimit-remaining-requests": f"{int(bucket.level)}",
            "x-ratelimit-reset-requests": f"{bucket.seconds_to_full:.3f}s",
        }
        if wait:
            raise ServiceError(
                429,
                f"Line {line.name} sent more than {bucket.per_second * 60:.0f} "
                f"requests a minute. Try again in {wait:.2f} s.",
                "rate_limit_exceeded",
                kind="requests",
                headers={
                    **headers,
                    "retry-after": f"{int(wait) + 1}",
                    "retry-after-ms": f"{wait * 1e3 + 1:.0f}",
                },
            )
        return headers

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, if it is small enough and comes in time."""
        parts, size = [], 0
        with contextlib.suppress(ValueError):
            size = int(Headers(scope=scope).get("content-length", "0"))
        if size > MAX_BODY:
            raise _too_large()
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ServiceError(499, "The client left.", "client_left")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > MAX_BODY:
                        raise _too_large()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise ServiceError(
                408,
                f"The request did not arrive within {BODY_SECONDS:.0f} s.",
                "request_timeout",
                headers={"connection": "close"},
            ) from None

    def _note(self, scope: Scope, number: str, status: int, seconds: float) -> None:
        state = scope["state"]
        route = getattr(scope.get("route"), "path", "other")
        line = state["line"].name if state["line"] else "-"
        self.metrics.requests.labels(route, line, str(status)).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        for kind, count in zip(("read", "written"), state["tokens"], strict=True):
            if count:
                self.metrics.tokens.labels(line, kind).inc(count)
        self.audit.note(
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "request": number,
                "line": line,
                "route": route,
                "model": state["model"],
                "status": status,
                "tokens_read": state["tokens"][0],
                "tokens_written": state["tokens"][1],
                "milliseconds": round(seconds * 1e3, 1),
            }
        )


def _known(error: Exception) -> ServiceError:
    """What to answer; of an unforeseen error only its kind, as texts may be in it."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, TimeoutError):
        message = "The answer took too long."
        return ServiceError(504, message, "timeout", kind="server_error")
    message = f"The service had an error of the kind {type(error).__name__}."
    return ServiceError(500, message, kind="server_error")


def _too_large() -> ServiceError:
    return ServiceError(
        413,
        f"The request is larger than {MAX_BODY:,} bytes.",
        "request_too_large",
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body at once, and after it what the client does."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
