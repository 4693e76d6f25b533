"""The application: OpenAI's endpoints in front of the course's models."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from helpers.gpt import Step
from helpers.promptable import DIMENSIONS, NAME
from helpers.service import faults, requests, responses, responses_endpoint
from helpers.service.access_log import AccessLog
from helpers.service.backends.registry import Registry
from helpers.service.generation import Generation, tokenize
from helpers.service.http_errors import ServiceError, bad_request
from helpers.service.keys import Keys
from helpers.service.metrics import Metrics
from helpers.service.middleware import Middleware
from helpers.service.reading import Body, read_body
from helpers.service.responses import JsonResponse, Steps

MAX_TEXTS = 2048  # in one embeddings request


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


def _add_models(app: FastAPI, models: Registry, teaching: bool) -> None:
    """The routes of OpenAI."""
    created = int(time.time())
    embedding = asyncio.Semaphore()  # one at a time: 2048 vectors take 40 MB

    async def begin(request: Request, name: str) -> str:
        """Check the model's name; let its fault happen, or return it."""
        request.state.served = models.find(name)
        request.state.model = request.state.served.name  # not the alias
        fault = faults.requested(request.headers, request.state.api_key.fault, teaching)
        await faults.before(fault)
        return fault

    async def reply(
        kind: type[requests.GenerationRequest],
        request: Request,
        whole: Any,
        events: Any,
    ) -> Response:
        """The model's answers in one piece, or token by token as they are written."""
        body = _read(kind, request)
        fault = await begin(request, body.model)
        served = request.state.served
        body.check(getattr(served, "samples", False))
        answers = []
        for prompt in body.prompts():
            answers.append(await served.answer(prompt))
            request.state.at_end.callback(answers[-1].close)
        answers = [faults.inject(answer, fault) for answer in answers]
        steps = _written(request, answers)
        if not body.stream:
            return JsonResponse(whole(body, await _finished(request, answers, steps)))
        sent = events(body, answers, steps)
        if fault == "dropped_stream":
            sent = faults.drop(sent)
        return StreamingResponse(_in_order(sent), media_type="text/event-stream")

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        shapes = responses.completion, responses.completion_events
        return await reply(requests.CompletionRequest, request, *shapes)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        shapes = responses.chat, responses.chat_events
        return await reply(requests.ChatRequest, request, *shapes)

    @app.post("/v1/responses")
    async def respond(request: Request) -> Response:
        shapes = responses_endpoint.response, responses_endpoint.response_events
        return await reply(requests.ResponsesRequest, request, *shapes)

    @app.post("/v1/embeddings")
    async def embeddings(request: Request) -> Response:
        body = _read(requests.EmbeddingsRequest, request)
        await begin(request, body.model)
        _check_embeddings(body, request.state.served.name)
        async with embedding:
            return await run_in_threadpool(_embed, body, request)

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        data = [responses.model_card(name, created) for name in models.names]
        return {"object": "list", "data": data}

    @app.get("/v1/models/{name}")
    async def one_model(name: str, request: Request) -> dict[str, Any]:
        await begin(request, name)
        return responses.model_card(name, created)


def _read(kind: type[Body], request: Request) -> Body:
    encoding = request.headers.get("content-encoding", "")
    return read_body(kind, request.state.body, encoding)


def _check_embeddings(body: requests.EmbeddingsRequest, model: str) -> None:
    """Raise a ServiceError (400) for what cannot be embedded."""
    if model != NAME:
        raise bad_request(f"Only {NAME} makes embeddings.", "no_embeddings")
    if not 1 <= len(body.input) <= MAX_TEXTS:
        raise bad_request(
            f"{len(body.input)} texts were sent; one request takes 1 to {MAX_TEXTS}.",
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


def _embed(body: requests.EmbeddingsRequest, request: Request) -> Response:
    tokens = sum(len(tokenize(text)) for text in body.input)
    request.state.tokens = (tokens, 0)
    vectors = request.state.served.model.embed(body.input)
    as_base64 = body.encoding_format == "base64"
    return JsonResponse(responses.embeddings(body.model, vectors, as_base64, tokens))


async def _in_order(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The events; after each, a client that has left is noticed."""
    async for one in events:
        yield one
        await asyncio.sleep(0)


async def _written(request: Request, answers: Sequence[Generation]) -> Steps:
    """Each answer's tokens as they are computed; other requests go on in between."""
    read, written = sum(answer.input_tokens for answer in answers), 0
    for number, answer in enumerate(answers):
        for step in answer.steps:
            written += 1
            request.state.tokens = (read, written)
            yield number, step
            await asyncio.sleep(0)


async def _finished(
    request: Request, answers: Sequence[Generation], steps: Steps
) -> list[Generation]:
    """The answers with all their tokens, unless the client leaves before."""
    if all(isinstance(answer.steps, tuple) for answer in answers):  # there already
        read = sum(answer.input_tokens for answer in answers)
        request.state.tokens = (read, sum(len(answer.steps) for answer in answers))
        return list(answers)
    written: list[list[Step]] = [[] for _ in answers]
    async for number, step in steps:
        written[number].append(step)
        look = step.finish or len(written[number]) % 16 == 0
        if look and await request.is_disconnected():
            raise ServiceError(499, "The client left.", "client_left")
    whole = zip(answers, written, strict=True)
    return [replace(answer, steps=tuple(parts)) for answer, parts in whole]


async def _no_route(request: Request, error: HTTPException) -> Response:
    """An address or a method that does not exist, in OpenAI's shape."""
    path = request.url.path[:80].encode("ascii", "replace").decode()
    text = f"{error.detail}: {request.method} {path}"
    code = "invalid_request" if error.status_code == 400 else "no_such_route"
    problem = ServiceError(error.status_code, text, code)
    return JsonResponse(problem.body, error.status_code, error.headers)
