"""The application: OpenAI's endpoints in front of the course's models."""

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from helpers.gpt import Step
from helpers.promptable import NAME
from helpers.service import faults, requests, responses
from helpers.service.access_log import AccessLog
from helpers.service.backends.registry import Registry
from helpers.service.generation import Generation, tokenize
from helpers.service.http_errors import ServiceError, bad_request
from helpers.service.keys import Keys
from helpers.service.metrics import Metrics
from helpers.service.middleware import Middleware
from helpers.service.reading import Body, read_body
from helpers.service.responses import JsonResponse, Shape, Steps

GENERATING = {
    "/v1/completions": (requests.CompletionRequest, responses.COMPLETION),
    "/v1/chat/completions": (requests.ChatRequest, responses.CHAT),
    "/v1/responses": (requests.ResponsesRequest, responses.RESPONSE),
}


def build_app(
    models: Registry,
    keys: Keys,
    log: AccessLog,
    metrics: Metrics,
    teaching: bool = False,
    answer_seconds: float = 60.0,
) -> FastAPI:
    """An application in front of some models; teaching allows deliberate faults."""
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.add_middleware(
        Middleware, keys=keys, log=log, metrics=metrics, answer_seconds=answer_seconds
    )
    app.exception_handler(HTTPException)(_no_route)
    _add_models(app, models, teaching)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        shown = {} if keys.private_metrics else {"models": models.names}
        return {"status": "ok", **shown}

    @app.get("/ready")
    async def ready() -> Response:
        state = "draining" if models.draining else "ready"
        return JsonResponse({"status": state}, 503 if models.draining else 200)

    @app.get("/metrics")
    async def metrics_page() -> Response:
        text = generate_latest(metrics.registry)
        return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)

    return app


def _add_models(app: FastAPI, models: Registry, teaching: bool) -> None:
    """The routes of OpenAI."""
    created = int(time.time())
    embedding = asyncio.Semaphore()  # one at a time: 2048 vectors take 40 MB

    async def begin(request: Request, name: str) -> str:
        """Check the model's name; let its fault happen, or return it."""
        role = request.state.api_key.role
        request.state.served = models.find(name, role.models)
        request.state.model = request.state.served.name  # not the alias
        fault = faults.requested(request.headers, request.state.api_key.fault, teaching)
        await faults.before(fault)
        return fault

    async def reply(
        kind: type[requests.GenerationRequest], shape: Shape, request: Request
    ) -> Response:
        """The model's answer in one piece, or token by token as it is written."""
        whole, events = shape
        body = _read(kind, request)
        fault = await begin(request, body.model)
        answer = await request.state.served.answer(body.as_prompt())
        request.state.at_end.callback(answer.close)
        answer = faults.inject(answer, fault)
        steps = _written(request, answer)
        if not body.stream:
            return JsonResponse(whole(body, await _finished(request, answer, steps)))
        sent = events(body, answer, steps)
        if fault == "dropped_stream":
            sent = faults.drop(sent)
        return StreamingResponse(sent, media_type="text/event-stream")

    for path, (kind, shape) in GENERATING.items():
        app.post(path)(partial(reply, kind, shape))

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        body = _read(requests.EmbeddingsRequest, request)
        await begin(request, body.model)
        if request.state.model != NAME:
            raise bad_request(f"Only {NAME} makes embeddings.", "no_embeddings")
        async with embedding:
            return await run_in_threadpool(_embed, body, request)

    @app.get("/v1/models")
    async def list_models(request: Request) -> dict[str, Any]:
        names = models.allowed(request.state.api_key.role.models)
        data = [responses.model_card(name, created) for name in names]
        return {"object": "list", "data": data}

    @app.get("/v1/models/{name}")
    async def one_model(name: str, request: Request) -> dict[str, Any]:
        await begin(request, name)
        return responses.model_card(name, created)


def _read(kind: type[Body], request: Request) -> Body:
    encoding = request.headers.get("content-encoding", "")
    return read_body(kind, request.state.body, encoding)


def _embed(body: requests.EmbeddingsRequest, request: Request) -> Response:
    tokens = sum(len(tokenize(text)) for text in body.input)
    request.state.tokens = (tokens, 0)
    vectors = request.state.served.model.embed(body.input)
    as_base64 = body.encoding_format == "base64"
    return JsonResponse(responses.embeddings(body.model, vectors, as_base64, tokens))


async def _written(request: Request, answer: Generation) -> Steps:
    """The tokens as they are computed; other requests go on in between."""
    for written, step in enumerate(answer.steps, 1):
        request.state.tokens = (answer.input_tokens, written)
        yield step
        await asyncio.sleep(0)


async def _finished(request: Request, answer: Generation, steps: Steps) -> Generation:
    """The answer with all its tokens, unless the client leaves before."""
    if isinstance(answer.steps, tuple):  # there already
        request.state.tokens = (answer.input_tokens, len(answer.steps))
        return answer
    written: list[Step] = []
    async for step in steps:
        written.append(step)
        look = step.finish or len(written) % 16 == 0
        if look and await request.is_disconnected():
            raise ServiceError(499, "The client left.", "client_left")
    return replace(answer, steps=tuple(written))


async def _no_route(request: Request, error: HTTPException) -> NoReturn:
    """An address or a method that does not exist, in OpenAI's shape."""
    path = request.url.path[:80].encode("ascii", "replace").decode()
    text = f"{error.detail}: {request.method} {path}"
    code = "invalid_request" if error.status_code == 400 else "no_such_route"
    raise ServiceError(error.status_code, text, code, headers=error.headers)
