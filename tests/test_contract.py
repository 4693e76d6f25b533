"""The contract: the openai client, sync and async, against the running service."""

import asyncio
import base64
import enum
import inspect
import json
import uuid
from typing import Literal

import httpx2
import numpy as np
import openai
import pytest
from openai.types import CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from helpers.promptable import DIMENSIONS, NAME
from helpers.service import start
from helpers.service.faults import HEADER
from helpers.service.gate import MAX_BODY
from helpers.service.keys import Bucket
from helpers.service.prompt import MAX_CHARACTERS

INSTRUCTIONS = "- electrical: lights, wiring\n- hydraulic: oil leak, hose, pump"
TEXT = "hyd hose leaking"
SAID = "hydraulic"
SYSTEM = {"role": "system", "content": INSTRUCTIONS}
USER = {"role": "user", "content": TEXT}


class Priority(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Crew(BaseModel):
    crew: Literal["electrical", "hydraulic"]


class Ticket(BaseModel):
    """Two fields: a Literal, and an Enum, which pydantic writes as a $ref."""

    crew: Literal["electrical", "hydraulic"]
    priority: Priority


class Sure(BaseModel):
    crew: Literal["electrical", "hydraulic"]
    confidence: float


class Urgent(BaseModel):
    priority: Priority


class Free(BaseModel):
    comment: str


class Nested(BaseModel):
    ticket: Crew


class Empty(BaseModel):
    pass


@pytest.fixture(scope="module")
def service():
    with start(faults=True) as service:
        yield service


@pytest.fixture(scope="module")
def strict_service():
    with start() as service:
        yield service


class Sync:
    """The ordinary client."""

    def __init__(self, service, **options):
        settings = {"api_key": service.key, "base_url": service.base_url}
        self.client = openai.OpenAI(**{"max_retries": 0, **settings, **options})

    def __call__(self, ask):
        return ask(self.client)

    def events(self, ask, final=None):
        """All events of a stream, and what its method `final` gives."""
        with ask(self.client) as stream:
            return list(stream), getattr(stream, final)() if final else None

    def close(self):
        self.client.close()


class Async:
    """The asynchronous client, called the same way."""

    def __init__(self, service, **options):
        settings = {"api_key": service.key, "base_url": service.base_url}
        self.client = openai.AsyncOpenAI(**{"max_retries": 0, **settings, **options})
        self.loop = asyncio.new_event_loop()

    def __call__(self, ask):
        async def answer():
            return await ask(self.client)

        return self.loop.run_until_complete(answer())

    def events(self, ask, final=None):
        async def read():
            asked = ask(self.client)
            asked = await asked if inspect.isawaitable(asked) else asked
            async with asked as stream:
                events = [event async for event in stream]
                return events, await getattr(stream, final)() if final else None

        return self.loop.run_until_complete(read())

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


@pytest.fixture(scope="module", params=[Sync, Async], ids=["sync", "async"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def client(kind, service):
    client = kind(service)
    yield client
    client.close()


@pytest.fixture
def another(kind, service):
    """Make clients with other options, and close them after the test."""
    made = []

    def make(service=service, **options):
        made.append(kind(service, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def responses(**options):
    """A call of responses.create."""
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": TEXT} | options
    return lambda c: c.responses.create(**body)


def chat(**options):
    """A call of chat.completions.create."""
    body = {"model": NAME, "messages": [SYSTEM, USER]} | options
    return lambda c: c.chat.completions.create(**body)


def parse(form, **options):
    """A call of responses.parse."""
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": TEXT} | options
    return lambda c: c.responses.parse(**body, text_format=form)


def chat_parse(form, **options):
    """A call of chat.completions.parse."""
    body = {"model": NAME, "messages": [SYSTEM, USER]} | options
    return lambda c: c.chat.completions.parse(**body, response_format=form)


def post(path, **body):
    """A request as it goes over the wire, and the HTTP answer."""
    return lambda c: c.post(path, body=body, cast_to=httpx2.Response)


def schema(**properties):
    """response_format and text.format with a schema that pydantic did not write."""
    return {"type": "object", "properties": properties}


def data_lines(text):
    """The data of each server-sent event."""
    blocks = text.removesuffix("\n\n").split("\n\n")
    return [block.split("data: ", 1)[1] for block in blocks]


# --- models


def test_models(client):
    (card,) = client(lambda c: c.models.list()).data
    assert card.id == NAME and card.object == "model"
    assert client(lambda c: c.models.retrieve(NAME)) == card
    raw = client(lambda c: c.models.with_raw_response.retrieve(NAME))
    Model.model_validate_json(raw.http_response.content, strict=True)


# --- responses


def test_response(client):
    said = client(responses())
    assert said.output_text == SAID and said.status == "completed"
    assert said.error is None and said.incomplete_details is None
    assert said.output[0].role == "assistant" and said.output[0].status == "completed"
    assert said.usage.input_tokens > said.usage.output_tokens > 0
    assert said.usage.total_tokens == (
        said.usage.input_tokens + said.usage.output_tokens
    )


def test_response_is_strictly_of_the_published_type(client):
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": TEXT}
    raw = client(post("/responses", **body))
    said = Response.model_validate_json(raw.content, strict=True)
    assert said.output_text == SAID and raw.headers["x-request-id"].startswith("req_")
    assert client(responses())._request_id.startswith("req_")


@pytest.mark.parametrize("form", [Crew, Ticket, Sure, Urgent])
def test_parsed_answers(client, form):
    said = client(parse(form))
    parsed = said.output_parsed
    assert isinstance(parsed, form) and json.loads(said.output_text)
    assert getattr(parsed, "crew", SAID) == SAID
    assert 0.5 < getattr(parsed, "confidence", 0.9) <= 1
    assert isinstance(getattr(parsed, "priority", Priority.LOW), Priority)
    answer = client(chat_parse(form))
    assert answer.choices[0].message.parsed == parsed  # both endpoints agree


def test_content_as_parts(client):
    parts = [{"type": "input_text", "text": TEXT}]
    assert client(responses(input=[USER | {"content": parts}])).output_text == SAID
    parts = [{"type": "text", "text": "hyd hose"}, {"type": "text", "text": "leaking"}]
    system = SYSTEM | {"content": [{"type": "text", "text": INSTRUCTIONS}]}
    said = client(chat(messages=[system, USER | {"content": parts}]))
    assert said.choices[0].message.content == SAID
    developer = SYSTEM | {"role": "developer"}
    assert client(responses(instructions=None, input=[developer, USER])).output_text
    assert client(responses(instructions=None, input=f"{INSTRUCTIONS}\n{TEXT}"))


def test_an_earlier_answer_is_an_example(client):
    user, assistant = ({"role": role} for role in ("user", "assistant"))
    user["content"] = "replace headlight globe"
    assert client(responses(input=[user])).output_text == "electrical"
    assistant["content"] = "hydraulic"
    turns = [user, assistant, user]
    assert client(responses(input=turns)).output_text == "hydraulic"
    said = client(chat(messages=[SYSTEM, *turns]))
    assert said.choices[0].message.content == "hydraulic"
    said = client(responses())  # and what came back can be sent as it is
    turns = [USER, *[item.model_dump() for item in said.output], user]
    assert client(responses(input=turns)).status == "completed"


def test_harmless_fields_are_accepted(client):
    options = {"temperature": 0.0, "store": False, "metadata": {"line": "1"}}
    assert client(responses(**options, user="me")).output_text == SAID
    assert client(chat(**options, seed=1, n=1)).choices[0].message.content == SAID


def ordered(kind, deltas, last="completed"):
    return [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *[f"response.{kind}.delta"] * deltas,
        f"response.{kind}.done",
        "response.content_part.done",
        "response.output_item.done",
        f"response.{last}",
    ]


def stream_of(form, **options):
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": TEXT} | options
    return lambda c: c.responses.stream(**body, text_format=form)


def test_response_stream(client):
    events, final = client.events(stream_of(Ticket), "get_final_response")
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert len(deltas) > 3
    assert [e.type for e in events] == ordered("output_text", len(deltas))
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert "".join(deltas) == final.output_text == events[-5 + 1].text
    assert final.output_parsed.crew == SAID
    assert final.usage.output_tokens == len(deltas)
    assert final.id == events[0].response.id
    assert {e.item_id for e in events if hasattr(e, "item_id")} == {final.output[0].id}


def test_streamed_events_are_strictly_of_the_published_types(client):
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": TEXT}
    raw = client(post("/responses", **body, stream=True))
    assert raw.headers["content-type"].startswith("text/event-stream")
    adapter = TypeAdapter(ResponseStreamEvent)
    events = [adapter.validate_json(d, strict=True) for d in data_lines(raw.text)]
    assert [e.type for e in events] == ordered("output_text", len(events) - 8)
    names = [line for line in raw.text.splitlines() if line.startswith("event: ")]
    assert names == [f"event: {event.type}" for event in events]
    plain, _ = client.events(responses(stream=True))
    assert [e.type for e in plain] == [e.type for e in events]


# --- chat completions


def test_chat(client):
    said = client(chat())
    (choice,) = said.choices
    assert choice.message.content == SAID and choice.finish_reason == "stop"
    assert choice.message.refusal is None and choice.message.role == "assistant"
    assert said.usage.total_tokens == (
        said.usage.prompt_tokens + said.usage.completion_tokens
    )
    raw = client(post("/chat/completions", model=NAME, messages=[SYSTEM, USER]))
    again = ChatCompletion.model_validate_json(raw.content, strict=True)
    assert again.choices == said.choices and again.usage == said.usage


@pytest.mark.parametrize("usage", [True, False])
def test_chat_chunks(client, usage):
    options = {"include_usage": usage}
    chunks, _ = client.events(chat(stream=True, stream_options=options))
    with_choice = chunks[:-1] if usage else chunks
    deltas = [c.choices[0].delta for c in with_choice]
    assert deltas[0].role == "assistant" and not deltas[-1].content
    assert "".join(d.content or "" for d in deltas) == SAID
    ends = [c.choices[0].finish_reason for c in with_choice]
    assert ends == [None] * (len(ends) - 1) + ["stop"]
    assert len({c.id for c in chunks}) == 1
    if usage:
        assert chunks[-1].choices == [] and chunks[-1].usage == client(chat()).usage


def test_chat_stream_with_parsing(client):
    def ask(c):
        return c.chat.completions.stream(
            model=NAME, messages=[SYSTEM, USER], response_format=Sure
        )

    events, final = client.events(ask, "get_final_completion")
    deltas = [e.delta for e in events if e.type == "content.delta"]
    (message,) = [choice.message for choice in final.choices]
    assert "".join(deltas) == message.content and message.parsed.crew == SAID


def test_raw_chunks_end_with_done(client):
    body = {"model": NAME, "messages": [SYSTEM, USER], "stream": True}
    raw = client(post("/chat/completions", **body))
    *chunks, last = data_lines(raw.text)
    assert last == "[DONE]" and raw.text.endswith("data: [DONE]\n\n")
    for chunk in chunks:
        ChatCompletionChunk.model_validate_json(chunk, strict=True)


# --- embeddings


def test_embeddings(client):
    texts = ["oil leak", "hyd hose leaking", "replace headlight globe"]

    def ask(c, **options):
        return c.embeddings.create(model=NAME, input=texts, **options)

    default = client(ask)
    floats = client(lambda c: ask(c, encoding_format="float"))
    packed = client(lambda c: ask(c, encoding_format="base64"))
    assert [d.index for d in floats.data] == [0, 1, 2]
    for one, other, third in zip(floats.data, packed.data, default.data, strict=True):
        vector = np.array(one.embedding, "<f4")
        assert vector.shape == (DIMENSIONS,)
        assert base64.b64decode(other.embedding) == vector.tobytes()
        assert np.array(third.embedding, "<f4").tobytes() == vector.tobytes()
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    alone = client(lambda c: c.embeddings.create(model=NAME, input=texts[1]))
    assert alone.data[0].embedding == default.data[1].embedding  # same order
    assert alone.usage.prompt_tokens == alone.usage.total_tokens > 0
    raw = client(post("/embeddings", model=NAME, input=texts, dimensions=DIMENSIONS))
    CreateEmbeddingResponse.model_validate_json(raw.content, strict=True)


# --- truncation


def test_too_few_tokens(client):
    said = client(chat(max_completion_tokens=1))
    assert said.choices[0].finish_reason == "length"
    assert said.usage.completion_tokens == 1 and SAID.startswith(
        said.choices[0].message.content
    )
    assert client(chat(max_tokens=1)).choices == said.choices
    with pytest.raises(openai.LengthFinishReasonError):
        client(chat_parse(Crew, max_completion_tokens=2))
    said = client(responses(max_output_tokens=1))
    assert said.status == said.output[0].status == "incomplete"
    assert said.incomplete_details.reason == "max_output_tokens"
    events, _ = client.events(responses(max_output_tokens=2, stream=True))
    assert [e.type for e in events] == ordered("output_text", 2, "incomplete")
    enough = client(responses(max_output_tokens=100))
    assert enough.status == "completed" and enough.output_text == SAID


# --- errors


def formatted(what):
    """A call with a schema of its own, for either endpoint the same."""
    return responses(text={"format": {"type": "json_schema", "name": "x", **what}})


def embed(**options):
    body = {"model": NAME, "input": ["oil"]} | options
    return lambda c: c.embeddings.create(**body)


def send(content):
    """Bytes as they are; the client writes them in no way of its own."""
    json = {"headers": {"content-type": "application/json"}}
    return lambda c: c.post("/responses", content=content, cast_to=object, options=json)


BAD = openai.BadRequestError
assistant = {"role": "assistant", "content": SAID}
image = {"type": "input_image", "image_url": "data:,x"}
HALF_PAIR = {"type": "json_schema", "schema": schema(**{"\ud800": {"type": "string"}})}
REFUSED = {
    "unknown model": (
        responses(model="gpt-0"),
        (openai.NotFoundError, "model_not_found", "model"),
    ),
    "unknown model of chat": (
        chat(model="gpt-0"),
        (openai.NotFoundError, "model_not_found", "model"),
    ),
    "no such card": (
        lambda c: c.models.retrieve("gpt-0"),
        (openai.NotFoundError, "model_not_found", "model"),
    ),
    "unknown route": (
        lambda c: c.files.retrieve("file-1"),
        (openai.NotFoundError, "no_such_route", None),
    ),
    "unknown parameter": (
        responses(extra_body={"temprature": 0}),
        (BAD, "unknown_parameter", "temprature"),
    ),
    "top_p": (chat(top_p=0.5), (BAD, "unknown_parameter", "top_p")),
    "tools": (responses(tools=[]), (BAD, "unknown_parameter", "tools")),
    "temperature": (
        responses(temperature=0.7),
        (BAD, "invalid_request", "temperature"),
    ),
    "n": (chat(n=2), (BAD, "invalid_request", "n")),
    "a number as text": (
        responses(max_output_tokens="5"),
        (BAD, "invalid_request", "max_output_tokens"),
    ),
    "a text as truth": (
        responses(extra_body={"stream": "yes"}),
        (BAD, "invalid_request", "stream"),
    ),
    "no tokens": (
        chat(max_tokens=0),
        (BAD, "invalid_request", "max_tokens"),
    ),
    "a number for input": (responses(input=5), (BAD, "invalid_request", "input")),
    "an image": (
        responses(input=[USER | {"content": [image]}]),
        (BAD, "invalid_request", "input.0.content.0.type"),
    ),
    "a tool message": (
        chat(messages=[USER | {"role": "tool", "tool_call_id": "1"}]),
        (BAD, "invalid_request", "messages.0.role"),
    ),
    "no messages": (chat(messages=[]), (BAD, "invalid_request", "messages")),
    "no input": (responses(input=[]), (BAD, "no_user_message", None)),
    "last message not the user's": (
        chat(messages=[SYSTEM, USER, assistant]),
        (BAD, "no_user_message", None),
    ),
    "no labels": (
        responses(instructions="Which crew?"),
        (BAD, "no_labels", None),
    ),
    "one label": (
        responses(instructions="- hydraulic: oil"),
        (BAD, "no_labels", None),
    ),
    "free string": (parse(Free), (BAD, "unsupported_schema", "comment")),
    "nested": (parse(Nested), (BAD, "unsupported_schema", "ticket")),
    "no properties": (parse(Empty), (BAD, "unsupported_schema", None)),
    "empty schema": (formatted({"schema": {}}), (BAD, "unsupported_schema", None)),
    "schema left out": (formatted({}), (BAD, "unsupported_schema", None)),
    "only a confidence": (
        formatted({"schema": schema(confidence={"type": "number"})}),
        (BAD, "unsupported_schema", None),
    ),
    "circular schema": (
        formatted({"schema": schema(x={"$ref": "#"})}),
        (BAD, "unsupported_schema", "x"),
    ),
    "JSON mode": (
        chat(response_format={"type": "json_object"}),
        (BAD, "invalid_request", "response_format.type"),
    ),
    "2049 texts": (
        embed(input=["oil"] * 2049),
        (BAD, "wrong_number_of_texts", "input"),
    ),
    "no texts": (embed(input=[]), (BAD, "wrong_number_of_texts", "input")),
    "token numbers": (embed(input=[1, 2]), (BAD, "invalid_request", "input.0")),
    "dimensions": (
        embed(dimensions=8),
        (BAD, "unsupported_dimensions", "dimensions"),
    ),
    "a long prompt": (
        responses(input="oil " * (MAX_CHARACTERS // 4)),
        (BAD, "context_length_exceeded", None),
    ),
    "a large body": (
        responses(input="x" * MAX_BODY),
        (openai.APIStatusError, "request_too_large", None),
    ),
    "not JSON": (
        send(b'{"model": '),
        (BAD, "invalid_request", None),
    ),
    "deeper than Python goes": (
        send(b"[" * 500_000),
        (BAD, "invalid_request", None),
    ),
    "half a surrogate pair": (
        send(
            json.dumps(
                {"model": NAME, "input": TEXT, "text": {"format": HALF_PAIR}}
            ).encode()
        ),
        (BAD, "unsupported_schema", "\ud800"),
    ),
}


def check(error, kind, status, code, param, type="invalid_request_error"):
    """An error of OpenAI's shape: {"message", "type", "param", "code"} and an id."""
    assert error.__class__ is kind and error.status_code == status
    assert (error.code, error.param, error.type) == (code, param, type)
    assert set(error.body) == {"message", "type", "param", "code"}
    assert error.body["message"] and error.request_id.startswith("req_")


@pytest.mark.parametrize("ask", REFUSED)
def test_errors(client, ask):
    ask, (kind, code, param) = REFUSED[ask]
    status = getattr(kind, "status_code", 413)
    with pytest.raises(kind) as caught:
        client(ask)
    check(caught.value, kind, status, code, param)


def test_wrong_method(client):
    with pytest.raises(openai.APIStatusError) as caught:
        client(lambda c: c.get("/responses", cast_to=object))
    check(caught.value, openai.APIStatusError, 405, "no_such_route", None)
    assert caught.value.response.headers["allow"] == "POST"


def test_a_large_body_in_chunks_is_refused(service):
    """Its size is not known beforehand."""
    said = httpx2.post(
        f"{service.base_url}/responses",
        content=iter([b"x" * 10_000] * 200),
        headers={"authorization": f"Bearer {service.key}"},
    )
    assert said.status_code == 413
    assert said.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("ask", [responses, chat, embed])
def test_keys(client, ask):
    none, wrong = openai.Omit(), "Bearer plant-wrong"
    for header, why in (none, "No API key"), (wrong, "not known"), ("?", "not known"):
        with pytest.raises(openai.AuthenticationError, match=why) as caught:
            client(ask(extra_headers={"Authorization": header}))
        check(caught.value, openai.AuthenticationError, 401, "invalid_api_key", None)


# --- limits


def test_rate_limit_headers(client, another, service):
    raw = client(lambda c: c.models.with_raw_response.list())
    limit, left, reset = (
        raw.headers[f"x-ratelimit-{what}-requests"]
        for what in ("limit", "remaining", "reset")
    )
    assert int(limit) > int(left) > 0 and float(reset.removesuffix("s")) >= 0
    assert float(raw.headers["openai-processing-ms"]) >= 0

    name = f"slow-{uuid.uuid4()}"
    slow = another(api_key=service.keys.new(name))
    service.keys.named(name)[0].bucket = Bucket(2, per_second=0.001)
    raw = slow(lambda c: c.models.with_raw_response.list())
    assert raw.headers["x-ratelimit-limit-requests"] == "2"
    assert raw.headers["x-ratelimit-remaining-requests"] == "1"
    slow(responses())
    with pytest.raises(openai.RateLimitError) as caught:
        slow(responses())
    check(
        caught.value,
        openai.RateLimitError,
        429,
        "rate_limit_exceeded",
        None,
        "requests",
    )
    headers = caught.value.response.headers
    assert headers["x-ratelimit-remaining-requests"] == "0"
    wait = float(headers["retry-after-ms"]) / 1e3
    assert 900 < wait < 1001 and abs(int(headers["retry-after"]) - wait) <= 1
    assert client(responses()).output_text == SAID  # another line is not held up


def noted(service, line):
    """The status of each request of a line."""
    httpx2.get(f"http://127.0.0.1:{service.port}/health")  # what came before is noted
    return [entry["status"] for entry in service.audit() if entry["line"] == line]


def test_the_client_waits_as_it_is_told(another, service):
    name = f"brisk-{uuid.uuid4()}"
    brisk = another(api_key=service.keys.new(name), max_retries=1)
    (line,) = service.keys.named(name)
    line.bucket = Bucket(1, per_second=2)
    line.bucket.level = 0
    assert brisk(responses()).output_text == SAID
    assert noted(service, name) == [429, 200]


# --- faults for teaching


def with_fault(ask, fault):
    """The same call, asking for a fault."""
    return lambda c: ask(c.with_options(default_headers={HEADER: fault}))


@pytest.mark.parametrize("endpoint", [responses, chat, embed])
def test_faults_before_an_answer(client, another, endpoint):
    ask = endpoint()
    for fault, kind, status, code, type in (
        ("rate_limit", openai.RateLimitError, 429, "rate_limit_exceeded", "requests"),
        ("quota", openai.RateLimitError, 429, *["insufficient_quota"] * 2),
        ("server_error", openai.InternalServerError, 500, None, "server_error"),
    ):
        with pytest.raises(kind) as caught:
            client(with_fault(ask, fault))
        check(caught.value, kind, status, code, None, type)
    assert client(with_fault(ask, "distant"))  # later, but as it should be
    with pytest.raises(openai.APITimeoutError):
        another(timeout=0.2)(with_fault(ask, "slow"))


def test_malformed_json(client):
    for ask in parse(Crew), chat_parse(Crew):
        with pytest.raises(ValidationError):
            client(with_fault(ask, "malformed_json"))
    with pytest.raises(ValidationError):
        client.events(with_fault(stream_of(Crew), "malformed_json"))


def test_truncated(client):
    said = client(with_fault(responses(), "truncated"))
    assert said.status == "incomplete" and said.output_text != SAID
    said = client(with_fault(chat(), "truncated"))
    assert said.choices[0].finish_reason == "length"
    with pytest.raises(openai.LengthFinishReasonError):
        client(with_fault(chat_parse(Crew), "truncated"))
    with pytest.raises(ValidationError):  # the client has no error of its own for it
        client(with_fault(parse(Crew), "truncated"))
    events, _ = client.events(with_fault(responses(stream=True), "truncated"))
    assert events[-1].type == "response.incomplete"


def test_refusal(client):
    said = client(with_fault(parse(Crew), "refusal"))
    (part,) = said.output[0].content
    assert part.type == "refusal" and part.refusal and said.output_parsed is None
    assert said.output_text == "" and said.status == "completed"
    message = client(with_fault(chat(), "refusal")).choices[0].message
    assert message.refusal == part.refusal and message.content is None
    events, final = client.events(
        with_fault(stream_of(Crew), "refusal"), "get_final_response"
    )
    assert [e.type for e in events] == ordered("refusal", 1)
    assert final.output[0].content[0].refusal == part.refusal
    chunks, _ = client.events(with_fault(chat(stream=True), "refusal"))
    assert [c.choices[0].delta.refusal for c in chunks][1] == part.refusal


def test_dropped_stream(client):
    """What breaks off is an error of the connection, never a short answer."""
    broken = (openai.APIConnectionError, httpx2.RemoteProtocolError)  # before 3.14
    for ask in responses(stream=True), chat(stream=True), stream_of(Crew):
        with pytest.raises(broken):
            client.events(with_fault(ask, "dropped_stream"))
    assert client(responses()).output_text == SAID


def test_a_fault_for_the_first_attempts(client, another, service):
    for attempt, fails in ("0", True), ("1", True), ("2", False):
        asked = {HEADER: "server_error:2", "x-stainless-retry-count": attempt}
        ask = responses(extra_headers=asked)
        if fails:
            pytest.raises(openai.InternalServerError, client, ask)
        else:
            assert client(ask).output_text == SAID
    name = f"shaky-{uuid.uuid4()}"
    shaky = another(api_key=service.keys.new(name), max_retries=1)
    assert shaky(with_fault(responses(), "server_error:1")).output_text == SAID
    assert noted(service, name) == [500, 200]


def test_a_fault_for_a_whole_line(client, another, service):
    name = f"odd-{uuid.uuid4()}"
    odd = another(api_key=service.keys.new(name))
    service.misbehave(name, "quota")
    assert pytest.raises(openai.RateLimitError, odd, chat()).value.code == (
        "insufficient_quota"
    )
    assert client(chat()).choices[0].message.content == SAID
    service.misbehave(name, None)
    assert odd(chat()).choices[0].message.content == SAID


@pytest.mark.parametrize("fault", ["earthquake", "slow:x", "slow:-1"])
def test_unknown_faults(client, fault):
    with pytest.raises(BAD, match="there are rate_limit") as caught:
        client(with_fault(responses(), fault))
    check(caught.value, BAD, 400, "no_such_fault", None)


def test_faults_only_where_they_are_allowed(another, strict_service):
    client = another(strict_service)
    with pytest.raises(BAD) as caught:
        client(with_fault(responses(), "quota"))
    check(caught.value, BAD, 400, "no_teaching_faults", None)
    assert client(responses()).output_text == SAID
