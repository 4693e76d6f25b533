"""The application: OpenAI's endpoints in front of the course's models."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from helpers.gpt import Step
from helpers.promptable import DIMENSIONS, NAME
from helpers.service import faults, protocol
from helpers.service.errors import ServiceError, bad_request
from helpers.service.gate import Audit, Gate, Metrics
from helpers.service.keys import Keys
from helpers.service.models import Models
from helpers.service.prompt import Answer, pieces
from helpers.service.protocol import JsonResponse

MAX_TEXTS = 2048  # in one embeddings request
KINDS = (  # pydantic names them
    *("str", "list[str]", "list[Message]", "list[Part]"),
    *("constrained-str", "list[constrained-str]"),
)


def build_app(
    models: Models,
    keys: Keys,
    audit: Audit,
    metrics: Metrics,
    teaching: bool = False,
    answer_seconds: float = 60.0,
) -> FastAPI:
    """An application in front of some models; teaching allows deliberate faults."""
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    gate = {"keys": keys, "audit": audit, "metrics": metrics}
    app.add_middleware(Gate, **gate, answer_seconds=answer_seconds)
    _add_error_handlers(app)
    created = int(time.time())
    embedding = asyncio.Semaphore()  # one at a time: 2048 vectors take 40 MB

    async def begin(request: Request, name: str) -> str:
        """Check the model's name; commit or return the fault asked for."""
        request.state.served = models.find(name)
        request.state.model = request.state.served.name  # not the alias
        line = request.state.line
        fault = faults.wanted(request.headers, line.fault, teaching)
        await faults.before(fault)
        return fault

    async def reply(
        body: protocol.Generation, request: Request, whole: Any, events: Any
    ) -> Response:
        """The model's answers in one piece, or token by token as they are written."""
        fault = await begin(request, body.model)
        served = request.state.served
        body.check(getattr(served, "samples", False))
        answers = [faults.spoil(await served.answer(ask), fault) for ask in body.asks()]
        steps = _written(request, answers)
        if not body.stream:
            return JsonResponse(whole(body, await _finished(request, answers, steps)))
        sent = events(body, answers, steps)
        if fault == "dropped_stream":
            sent = faults.drop(sent)
        return StreamingResponse(_in_order(sent), media_type="text/event-stream")

    @app.post("/v1/completions")
    async def completions(
        body: protocol.CompletionRequest, request: Request
    ) -> Response:
        return await reply(
            body, request, protocol.completion, protocol.completion_events
        )

    @app.post("/v1/chat/completions")
    async def chat(body: protocol.ChatRequest, request: Request) -> Response:
        return await reply(body, request, protocol.chat, protocol.chat_events)

    @app.post("/v1/responses")
    async def responses(body: protocol.ResponsesRequest, request: Request) -> Response:
        return await reply(body, request, protocol.response, protocol.response_events)

    @app.post("/v1/embeddings")
    async def embeddings(
        body: protocol.EmbeddingsRequest, request: Request
    ) -> Response:
        await begin(request, body.model)
        if request.state.served.name != NAME:
            raise bad_request(f"Only {NAME} makes embeddings.", "no_embeddings")
        model = request.state.served.model
        texts = [body.input] if isinstance(body.input, str) else body.input
        if not 1 <= len(texts) <= MAX_TEXTS:
            raise bad_request(
                f"{len(texts)} texts were sent; one request takes 1 to {MAX_TEXTS}.",
                "wrong_number_of_texts",
                "input",
            )
        if body.dimensions and body.dimensions != DIMENSIONS:
            raise bad_request(
                f"The vectors of this model have {DIMENSIONS} dimensions, not "
                f"{body.dimensions}. Leave the option out.",
                "unsupported_dimensions",
                "dimensions",
            )

        def work() -> Response:
            tokens = sum(len(pieces(text)) for text in texts)
            request.state.tokens = (tokens, 0)
            vectors, as_base64 = model.embed(texts), body.encoding_format == "base64"
            found = protocol.embeddings(body.model, vectors, as_base64, tokens)
            return JsonResponse(found)

        async with embedding:
            return await run_in_threadpool(work)

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        data = [protocol.model_card(name, created) for name in models.names]
        return {"object": "list", "data": data}

    @app.get("/v1/models/{name}")
    async def one_model(name: str, request: Request) -> dict[str, Any]:
        await begin(request, name)
        return protocol.model_card(name, created)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "models": models.names}

    @app.get("/ready")
    async def ready() -> Response:
        state = "draining" if models.draining else "ready"
        return JsonResponse({"status": state}, 503 if models.draining else 200)

    @app.get("/metrics")
    async def metrics_page() -> Response:
        text = generate_latest(metrics.registry)
        return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)

    return app


async def _in_order(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events; after each, a client that has left is noticed."""
    async for one in events:
        yield one
        await asyncio.sleep(0)


async def _written(request: Request, answers: Sequence[Answer]) -> protocol.Steps:
    """Each answer's tokens as they are computed; other requests go on in between."""
    read, written = sum(answer.input_tokens for answer in answers), 0
    for number, answer in enumerate(answers):
        for step in answer.steps:
            written += 1
            request.state.tokens = (read, written)
            yield number, step
            await asyncio.sleep(0)


async def _finished(
    request: Request, answers: Sequence[Answer], steps: protocol.Steps
) -> list[Answer]:
    """The answers with all their tokens, unless the client leaves before."""
    if all(isinstance(answer.steps, tuple) for answer in answers):  # there already
        read = sum(answer.input_tokens for answer in answers)
        request.state.tokens = (read, sum(len(answer.steps) for answer in answers))
        return list(answers)
    said: list[list[Step]] = [[] for _ in answers]
    async for number, step in steps:
        said[number].append(step)
        look = step.finish or len(said[number]) % 16 == 0
        if look and await request.is_disconnected():
            raise ServiceError(499, "The client left.", "client_left")
    whole = zip(answers, said, strict=True)
    return [replace(answer, steps=tuple(parts)) for answer, parts in whole]


def _add_error_handlers(app: FastAPI) -> None:
    """Turn every error into OpenAI's shape; nothing of a request goes into a log."""

    @app.exception_handler(ServiceError)
    async def known(request: Request, error: ServiceError) -> Response:
        return JsonResponse(error.body, error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = max(error.errors(), key=lambda one: len(one["loc"]))  # in a union
        place = [str(step) for step in first["loc"][1:] if step not in KINDS]
        where = "" if first["type"] == "json_invalid" else ".".join(place)[:200]
        problem = bad_request(
            f"{first['msg']}{f': {where}' if where else ''}"[:500],
            "unknown_parameter"
            if first["type"] == "extra_forbidden"
            else "invalid_request",
            where or None,
        )
        return JsonResponse(problem.body, problem.status)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        path = request.url.path[:80].encode("ascii", "replace").decode()
        text = f"{error.detail}: {request.method} {path}"
        code = "invalid_request" if error.status_code == 400 else "no_such_route"
        problem = ServiceError(error.status_code, text, code)
        return JsonResponse(problem.body, error.status_code, error.headers)
