"""The application: OpenAI's endpoints in front of the course's models."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from helpers.promptable import DIMENSIONS, NAME
from helpers.service import faults, protocol
from helpers.service.errors import ServiceError, bad_request
from helpers.service.gate import Audit, Gate, Metrics
from helpers.service.keys import Keys
from helpers.service.models import Models
from helpers.service.prompt import Answer, Ask, pieces
from helpers.service.protocol import JsonResponse

MAX_TEXTS = 2048  # in one embeddings request
KINDS = ("str", "list[str]", "list[Message]", "list[Part]")  # pydantic names them


def build_app(
    models: Models, keys: Keys, audit: Audit, metrics: Metrics, teaching: bool
) -> FastAPI:
    """An application in front of some models."""
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    app.add_middleware(Gate, keys=keys, audit=audit, metrics=metrics)
    _add_error_handlers(app)
    created = int(time.time())
    embedding = asyncio.Semaphore()  # one at a time: 2048 vectors take 40 MB

    async def begin(request: Request, name: str) -> str:
        """Check the model's name; commit or return the fault asked for."""
        request.state.served = models.find(name)
        request.state.model = name
        line = request.state.line
        fault = faults.wanted(request.headers, line.fault, teaching)
        await faults.before(fault)
        return fault

    async def think(request: Request, ask: Ask, fault: str) -> Answer:
        """The model's answer, with its tokens noted."""
        said = await request.state.served.answer(ask)
        said = faults.spoil(said, fault)
        request.state.tokens = (said.input_tokens, len(said.pieces))
        return said

    def stream(events: Any, fault: str) -> StreamingResponse:
        if fault == "dropped_stream":
            events = faults.drop(events)
        return StreamingResponse(_in_order(events), media_type="text/event-stream")

    @app.post("/v1/chat/completions")
    async def chat(body: protocol.ChatRequest, request: Request) -> Response:
        fault = await begin(request, body.model)
        said = await think(request, body.ask(), fault)
        if body.stream:
            usage = bool((body.stream_options or {}).get("include_usage"))
            return stream(protocol.chat_events(body.model, said, usage), fault)
        return JsonResponse(protocol.chat(body.model, said))

    @app.post("/v1/responses")
    async def responses(body: protocol.ResponsesRequest, request: Request) -> Response:
        fault = await begin(request, body.model)
        said = await think(request, body.ask(), fault)
        if body.stream:
            return stream(protocol.response_events(body.model, said), fault)
        return JsonResponse(protocol.response(body.model, said))

    @app.post("/v1/embeddings")
    async def embeddings(
        body: protocol.EmbeddingsRequest, request: Request
    ) -> Response:
        await begin(request, body.model)
        if body.model != NAME:
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

    @app.get("/metrics")
    async def metrics_page() -> Response:
        text = generate_latest(metrics.registry)
        return PlainTextResponse(text, media_type=CONTENT_TYPE_LATEST)

    return app


async def _in_order(events: Any) -> Any:
    """An ordinary iterator as an asynchronous one, without a thread for each event."""
    for one in events:
        yield one
        await asyncio.sleep(0)  # others may go on; and a client that left is noticed


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
