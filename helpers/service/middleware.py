"""What every request passes: id, key, limit, size and time; and what is noted of it."""

import asyncio
import contextlib
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from helpers.service.access_log import AccessLog
from helpers.service.http_errors import ServiceError, overloaded
from helpers.service.keys import ApiKey, Keys
from helpers.service.metrics import Metrics
from helpers.service.responses import JsonResponse, new_id

MAX_BODY = 1_000_000  # bytes
LONG = 20_000  # bytes: longer requests are worked on one at a time
MAX_INSIDE = 1000  # requests at a time; more are refused at once
BODY_SECONDS = 10.0  # for a request to arrive
LEFT = 499  # the status that is noted if the client left before an answer began


class Middleware:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        keys: Keys,
        log: AccessLog,
        metrics: Metrics,
        answer_seconds: float,
    ):
        """Wrap an application."""
        self.app, self.keys, self.log, self.metrics = app, keys, log, metrics
        self.answer_seconds = answer_seconds
        self._inside = 0
        self._turn = asyncio.Semaphore()  # of the long requests: bounds the memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it with an error in OpenAI's shape."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state.update(begun=time.perf_counter(), id=new_id("req"), status=LEFT)
        state.update(tokens=(0, 0), model=None, api_key=None)
        state["at_end"] = at_end = contextlib.ExitStack()
        extra: dict[str, str] = {"x-request-id": state["id"]}

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                MutableHeaders(scope=message).update(extra)
            elif not message.get("more_body"):
                self._note(scope)  # before the answer is complete: a client may look
            await send(message)

        self._inside += 1
        self.metrics.in_flight.inc()
        try:
            # Outside /v1 neither a key nor a body is needed.
            v1 = scope["path"].startswith("/v1")
            private = self.keys.private_metrics and scope["path"] == "/metrics"
            if v1 and self._inside > MAX_INSIDE:
                raise overloaded(f"{MAX_INSIDE} requests are being worked on.")
            if v1 or private:
                state["api_key"] = api_key = self._api_key(scope)
                _check_end(api_key)
                extra |= _limit(api_key)
            if private and not api_key.role.metrics:
                message = f"The role of {api_key.owner} may not read /metrics."
                raise ServiceError(403, message, "not_allowed")
            state["body"] = body = await _body(scope, receive) if v1 else b""
            turn = self._turn if len(body) > LONG else contextlib.nullcontext()
            async with asyncio.timeout(self.answer_seconds), turn:
                await self.app(scope, receive, noting_send)
        except (Exception, asyncio.CancelledError) as error:
            if state["status"] != LEFT:
                raise  # the answer has begun: all that is left is to break it off
            known = _known(error)
            extra |= known.headers
            answer = JsonResponse(known.body, known.status)
            await answer(scope, receive, noting_send)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._inside -= 1
            self.metrics.in_flight.dec()
            at_end.close()
            self._note(scope)

    def _api_key(self, scope: Scope) -> ApiKey:
        """Whose request it is.

        Raises:
            ServiceError: 401, without a key that is known.

        """
        sent = Headers(scope=scope).get("authorization", "")
        if api_key := self.keys.find(sent):
            return api_key
        message = "This API key is not known" if sent else "No API key was sent"
        message += ". Send it as 'Authorization: Bearer <key>' (OPENAI_API_KEY)."
        raise ServiceError(401, message, "invalid_api_key")

    def _note(self, scope: Scope) -> None:
        """Count a request and log it, once."""
        state = scope["state"]
        if (begun := state.pop("begun", None)) is None:
            return
        seconds = time.perf_counter() - begun
        read, written = state["tokens"]
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request_id": state["id"],
            "owner": state["api_key"].owner if state["api_key"] else "-",
            "route": getattr(scope.get("route"), "path", "other"),
            "model": state["model"],
            "status": state["status"],
            "tokens_read": read,
            "tokens_written": written,
            "milliseconds": round(seconds * 1e3, 1),
        }
        self.metrics.count(entry)
        self.log.note(entry)


def _check_end(api_key: ApiKey) -> None:
    """Refuse a key whose time is over.

    Raises:
        ServiceError: 401, with the day on which it ended.

    """
    if api_key.role.ended:
        ended = f"{api_key.role.until:%Y-%m-%d %H:%M} UTC"
        message = f"This key of {api_key.owner} ended on {ended}. Get a new one."
        raise ServiceError(401, message, "api_key_expired")


def _limit(api_key: ApiKey) -> dict[str, str]:
    """Take a token from the key's bucket; the headers that tell how many are left.

    Raises:
        ServiceError: 429, with the time to wait.

    """
    bucket = api_key.bucket
    wait = bucket.take()
    per_minute = bucket.per_second * 60
    headers = {
        "x-ratelimit-limit-requests": f"{per_minute:.0f}",
        "x-ratelimit-remaining-requests": f"{int(bucket.level)}",
    }
    if wait:
        raise ServiceError(
            429,
            f"{api_key.owner} sent more than {per_minute:.6g} requests a minute. "
            f"Try again in {wait:.2f} s.",
            "rate_limit_exceeded",
            kind="requests",
            headers={
                **headers,
                "retry-after": f"{int(wait) + 1}",
                "retry-after-ms": f"{wait * 1e3 + 1:.0f}",
            },
        )
    return headers


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body, if it is small enough and comes in time."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in Request(scope, receive).stream():
                body += part
                if len(body) > MAX_BODY:
                    message = f"The request is larger than {MAX_BODY:,} bytes."
                    raise ServiceError(413, message, "request_too_large")
    except ClientDisconnect:
        raise ServiceError(LEFT, "The client left.", "client_left") from None
    except TimeoutError:
        message = f"The request did not arrive within {BODY_SECONDS:.0f} s."
        close = {"connection": "close"}
        raise ServiceError(408, message, "request_timeout", headers=close) from None
    return bytes(body)


def _known(error: BaseException) -> ServiceError:
    """What to answer; of an unforeseen error only its kind, as texts may be in it."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, TimeoutError):
        message = "The answer took too long."
        return ServiceError(504, message, "timeout", kind="server_error")
    if isinstance(error, asyncio.CancelledError):  # it outlived Service.stop
        message = "The service has stopped before there was an answer."
        return ServiceError(503, message, "stopped", kind="server_error")
    message = f"The service had an error of the kind {type(error).__name__}."
    return ServiceError(500, message, kind="server_error")
