"""The contract: the openai client, sync and async, against the running service."""

import asyncio
import base64
import enum
import inspect
import json
import time
import uuid
from types import SimpleNamespace
from typing import Literal

import httpx2
import numpy as np
import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from helpers.gpt import NAME as GPT
from helpers.gpt import load_gpt
from helpers.hosted import local_async_client, local_client
from helpers.promptable import DIMENSIONS, NAME
from helpers.service import start
from helpers.service.backends.prompted import MAX_CHARACTERS
from helpers.service.faults import HEADER
from helpers.service.keys import Bucket
from helpers.service.middleware import MAX_BODY

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
        settings = {"max_retries": 0, "api_key": service.key} | options
        self.client = local_client(service.base_url, **settings)

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
        settings = {"max_retries": 0, "api_key": service.key} | options
        self.client = local_async_client(service.base_url, **settings)
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
    card, other = client(lambda c: c.models.list()).data
    assert (card.id, other.id, card.object) == (NAME, GPT, "model")
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


def test_what_the_service_says_can_be_sent_back(client):
    """Answers and refusals, as history, exactly as they came."""
    again = USER | {"content": "replace headlight globe"}
    for fault in None, "refusal", "truncated":
        ask = responses() if fault is None else with_fault(responses(), fault)
        output = [item.model_dump() for item in client(ask).output]
        said = client(responses(input=[USER, *output, again]))
        assert said.output_text == "electrical"
        ask = chat() if fault is None else with_fault(chat(), fault)
        message = client(ask).choices[0].message.model_dump()
        said = client(chat(messages=[SYSTEM, USER, message, again]))
        assert said.choices[0].message.content == "electrical"
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}  # of another model
    said = client(responses(input=[USER, thought, assistant, again]))
    assert said.output_text == "electrical"


def test_harmless_fields_are_accepted(client):
    options = {"temperature": 0.0, "store": False, "metadata": {"line": "1"}}
    assert client(responses(**options, user="me")).output_text == SAID
    assert client(chat(**options, seed=1, n=1)).choices[0].message.content == SAID
    said = client(chat(temperature=0.7, top_p=0.5))  # it has one answer, at any
    assert said.choices[0].message.content == SAID
    assert told(client(chat(stop=["lic", "zebra"]))) == ["hydrau"]


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
    "seed of responses": (
        responses(extra_body={"seed": 1}),
        (BAD, "unknown_parameter", "seed"),
    ),
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
        (BAD, "invalid_request", "input.0.content"),
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
        (BAD, "invalid_request", "input"),
    ),
    "no texts": (embed(input=[]), (BAD, "invalid_request", "input")),
    "token ids": (embed(input=[[1, 2]]), (BAD, "invalid_request", "input")),
    "dimensions": (
        embed(dimensions=8),
        (BAD, "invalid_request", "dimensions"),
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
        trust_env=False,
        timeout=60,
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
    limit, left = (
        raw.headers[f"x-ratelimit-{what}-requests"] for what in ("limit", "remaining")
    )
    assert int(limit) > int(left) > 0

    name = f"slow-{uuid.uuid4()}"
    slow = another(api_key=service.keys.new(name))
    service.keys.of(name)[0].bucket = Bucket(2, per_second=0.02)
    raw = slow(lambda c: c.models.with_raw_response.list())
    assert raw.headers["x-ratelimit-limit-requests"] == "1"  # a minute, as vendors say
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
    assert 40 < wait < 50.1 and abs(int(headers["retry-after"]) - wait) <= 1
    assert client(responses()).output_text == SAID  # another owner is not held up


def noted(service, owner):
    """The status of each request of an owner; a client has its answer a bit later."""
    return [row["status"] for row in service.access_log() if row["owner"] == owner]


def entry_of(service, answer):
    """The entry of the access log for an answer of the client."""
    entries = {row["request_id"]: row for row in service.access_log()}
    return entries[answer._request_id]


def test_the_client_waits_as_it_is_told(another, service):
    name = f"brisk-{uuid.uuid4()}"
    brisk = another(api_key=service.keys.new(name), max_retries=1)
    waits = iter([0.5, 0.0])  # empty at first, whatever the time
    (api_key,) = service.keys.of(name)
    bucket = {"size": 1, "level": 0, "per_second": 2}
    api_key.bucket = SimpleNamespace(take=lambda: next(waits), **bucket)
    begun = time.monotonic()
    assert brisk(responses()).output_text == SAID
    assert noted(service, name) == [429, 200] and time.monotonic() - begun > 0.5


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


def test_a_fault_for_an_owner(client, another, service):
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


# --- workorder-gpt: it draws its answers token by token


class Record(BaseModel):
    system: str
    part: str
    action: str
    failure_mode: str


class Wide(Record):
    comment: str


class Choice(Record):
    part: Literal["Pump", "Hose"]


ORDER = "replace blown hyd hose on boom"
ASKED = {"model": GPT, "temperature": 0}
MESSAGES = [{"role": "user", "content": ORDER}]
LOGPROBS = ["message.output_text.logprobs"]


def gpt_completions(**options):
    body = ASKED | {"prompt": ORDER} | options
    return lambda c: c.completions.create(**body)


def gpt_chat(**options):
    return chat(**ASKED | {"messages": MESSAGES} | options)


def gpt_responses(**options):
    body = ASKED | {"input": ORDER} | options
    return lambda c: c.responses.create(**body)


GPT_ASK = {
    "completions": gpt_completions,
    "chat": gpt_chat,
    "responses": gpt_responses,
}
every_endpoint = pytest.mark.parametrize("endpoint", GPT_ASK)
with_seed = pytest.mark.parametrize("endpoint", ["completions", "chat"])


@pytest.fixture(scope="module")
def gpt():
    return load_gpt()


def told(said):
    """The text of each answer, whichever endpoint it came by."""
    if isinstance(said, Response):
        return [said.output_text]
    return [c.text if hasattr(c, "text") else c.message.content for c in said.choices]


def counts(said):
    """Tokens read and written."""
    used = said.usage
    if isinstance(said, Response):
        return used.input_tokens, used.output_tokens
    return used.prompt_tokens, used.completion_tokens


def ending(said):
    if isinstance(said, Response):
        return "stop" if said.status == "completed" else "length"
    return said.choices[0].finish_reason


@every_endpoint
def test_gpt_says_what_the_model_says(client, service, gpt, endpoint):
    steps = list(gpt.generate(ORDER))
    said = client(GPT_ASK[endpoint]())
    assert told(said) == ["".join(step.token for step in steps)]
    assert told(client(GPT_ASK[endpoint]())) == told(said)  # at temperature 0
    read = len(gpt.tokenizer.encode_text(ORDER))
    assert counts(said) == (read, len(steps)) and ending(said) == "stop"
    entry = entry_of(service, said)
    assert entry["model"] == GPT and entry["status"] == 200
    assert (entry["tokens_read"], entry["tokens_written"]) == (read, len(steps))


def test_gpt_log_probabilities(client, gpt):
    found = client(gpt_completions(logprobs=2)).choices[0].logprobs
    rows = zip(found.tokens, found.token_logprobs, map(dict, found.top_logprobs))
    steps = list(gpt.generate(ORDER))
    for (token, logprob, top), step in zip(rows, steps, strict=True):
        assert token == step.token and logprob <= 0
        assert logprob == pytest.approx(step.logprob, abs=1e-4)
        expected = dict(step.top[:2])
        assert top == pytest.approx(expected, abs=1e-2) and len(top) == 2


@with_seed
def test_gpt_sampling(client, gpt, endpoint):
    ask = GPT_ASK[endpoint]
    hot = {"temperature": 2, "seed": 7}
    one, again = (client(ask(**hot)) for _ in range(2))
    (text,) = told(one)
    steps = gpt.generate(ORDER, 128, temperature=2, seed=7)
    assert told(again) == [text] == ["".join(step.token for step in steps)]
    several = [told(client(ask(temperature=2)))[0] for _ in range(8)]
    assert len(set(several)) > 4  # without a seed
    assert told(client(ask(temperature=2, top_p=0.01))) == told(client(ask()))
    assert told(client(ask(temperature=None, seed=3))) == told(
        client(ask(temperature=1, top_p=1.0, seed=3))
    )


def test_gpt_sampling_in_responses(client):
    texts = [told(client(gpt_responses(temperature=2)))[0] for _ in range(6)]
    assert len(set(texts)) > 3
    cold = told(client(gpt_responses()))
    assert told(client(gpt_responses(temperature=2, top_p=0.01))) == cold


@with_seed
@pytest.mark.parametrize("stop", ['", "action', ["zebra", '"}', '", "part']])
def test_gpt_stop(client, endpoint, stop):
    ask = GPT_ASK[endpoint]
    (whole,) = told(client(ask()))
    said = client(ask(stop=stop))
    end = whole.index(stop if isinstance(stop, str) else stop[-1])
    assert told(said) == [whole[:end]] and ending(said) == "stop"
    assert streamed(client, endpoint, stop=stop) == told(said)


@every_endpoint
def test_gpt_max_tokens(client, endpoint):
    name = "max_output_tokens" if endpoint == "responses" else "max_tokens"
    whole = client(GPT_ASK[endpoint]())
    said = client(GPT_ASK[endpoint](**{name: 4}))
    assert ending(said) == "length" and counts(said)[1] == 4
    assert told(whole)[0].startswith(told(said)[0])
    assert told(client(GPT_ASK[endpoint](**{name: 10**9}))) == told(whole)


def streamed(client, endpoint, **options):
    """The texts of a streamed answer, put together."""
    events, _ = client.events(GPT_ASK[endpoint](stream=True, **options))
    if endpoint == "responses":
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        assert len(deltas) > 3
        return ["".join(deltas)]
    choices = [choice for chunk in events for choice in chunk.choices]
    new = [c.text if endpoint == "completions" else c.delta.content for c in choices]
    assert len(new) > 2 and not any(choice.index for choice in choices)
    return ["".join(text or "" for text in new)]


@every_endpoint
def test_gpt_streams_the_same(client, endpoint):
    options = {} if endpoint == "responses" else {"temperature": 1.5, "seed": 1}
    assert streamed(client, endpoint, **options) == told(
        client(GPT_ASK[endpoint](**options))
    )


def test_completion_chunks(client):
    usage = {"stream_options": {"include_usage": True}}
    options = {"logprobs": 2, "temperature": 1.5, "seed": 5}
    chunks, _ = client.events(gpt_completions(stream=True, **usage, **options))
    whole = client(gpt_completions(**options))
    *chunks, last = chunks
    assert last.choices == [] and last.usage == whole.usage
    assert {(c.id, c.object) for c in chunks} == {(chunks[0].id, "text_completion")}
    (choice,) = whole.choices
    parts = [chunk.choices[0] for chunk in chunks]
    assert [part.finish_reason for part in parts[:-1]] == [None] * (len(parts) - 1)
    assert parts[-1].finish_reason == choice.finish_reason
    for name in "tokens", "token_logprobs", "top_logprobs", "text_offset":
        found = [value for part in parts for value in getattr(part.logprobs, name)]
        assert found == getattr(choice.logprobs, name)
    offsets, tokens = choice.logprobs.text_offset, choice.logprobs.tokens
    assert [choice.text[a : a + len(t)] for a, t in zip(offsets, tokens)] == tokens


def test_gpt_is_strictly_of_the_published_types(client):
    asked = {"model": GPT, "prompt": [ORDER], "logprobs": 0}
    raw = client(post("/completions", **asked))
    said = Completion.model_validate_json(raw.content, strict=True)
    assert len(said.choices) == 1 and all(told(said))
    chat = {"model": GPT, "messages": MESSAGES}
    raw = client(post("/chat/completions", **chat))
    ChatCompletion.model_validate_json(raw.content, strict=True)
    raw = client(post("/chat/completions", **chat, stream=True))
    for chunk in data_lines(raw.text)[:-1]:
        ChatCompletionChunk.model_validate_json(chunk, strict=True)
    body = {"model": GPT, "input": ORDER}
    raw = client(post("/responses", **body))
    Response.model_validate_json(raw.content, strict=True)
    raw = client(post("/responses", **body, stream=True))
    adapter = TypeAdapter(ResponseStreamEvent)
    events = [adapter.validate_json(d, strict=True) for d in data_lines(raw.text)]
    assert [e.type for e in events] == ordered("output_text", len(events) - 8)


def test_gpt_fills_a_schema(client, gpt):
    asked = ASKED | {"input": ORDER}
    said = client(lambda c: c.responses.parse(**asked, text_format=Record))
    assert said.output_parsed.model_dump() == gpt.write_record(ORDER)
    for seed in range(20):  # at any temperature it is a record
        hot = {**ASKED, "messages": MESSAGES, "temperature": 2, "seed": seed}
        assert client(chat_parse(Record, **hot)).choices[0].message.parsed


def test_gpt_stream_helpers(client, gpt):
    def ask_chat(c):
        body = ASKED | {"messages": MESSAGES}
        return c.chat.completions.stream(**body, response_format=Record)

    def ask_responses(c):
        return c.responses.stream(**ASKED, input=ORDER, text_format=Record)

    record = gpt.write_record(ORDER)
    events, final = client.events(ask_chat, "get_final_completion")
    deltas = [e.delta for e in events if e.type == "content.delta" and e.delta]
    (choice,) = final.choices
    assert len(deltas) > 3 and "".join(deltas) == choice.message.content
    assert choice.message.parsed.model_dump() == record
    events, final = client.events(ask_responses, "get_final_response")
    deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
    assert final.output_parsed.model_dump() == record and len(deltas) > 3


@every_endpoint
def test_gpt_faults(client, endpoint):
    ask = GPT_ASK[endpoint]
    (whole,) = told(client(ask()))
    said = client(with_fault(ask(), "truncated"))
    assert ending(said) == "length" and told(said)[0] in whole[:-1]
    assert told(client(with_fault(ask(), "malformed_json")))[0].endswith("}} ,")
    broken = (openai.APIConnectionError, httpx2.RemoteProtocolError)  # before 3.14
    with pytest.raises(broken):
        client.events(with_fault(ask(stream=True), "dropped_stream"))
    events, _ = client.events(with_fault(ask(stream=True), "malformed_json"))
    assert "}} ," in str(events)
    assert "cannot help" in str(client(with_fault(ask(), "refusal")))


def test_completions_of_a_classifying_model(client):
    """The prompt is the whole prompt, as a single user message would be."""
    prompt = f"{INSTRUCTIONS}\n{TEXT}"
    said = client(gpt_completions(model=NAME, prompt=prompt, n=1, top_p=1.0))
    assert told(said) == [SAID] and said.choices[0].logprobs is None


UNSUPPORTED = "unsupported_parameter"
OPTIONS_REFUSED = {
    "several answers": (gpt_chat(n=2), (UNSUPPORTED, "n")),
    "logprobs of chat": (gpt_chat(logprobs=True), (UNSUPPORTED, "logprobs")),
    "logprobs of its completions": (
        gpt_completions(model=NAME, prompt=f"{INSTRUCTIONS}\n{TEXT}", logprobs=0),
        (UNSUPPORTED, "logprobs"),
    ),
    **{
        f"{name}={value!r:.20}": (ask(**{name: value}), ("invalid_request", name))
        for ask, name, value in [
            (gpt_chat, "temperature", 2.1),
            (gpt_responses, "temperature", -0.1),
            (gpt_chat, "top_p", 0),
            (gpt_completions, "max_tokens", 0),
            (gpt_completions, "stop", list("abcde")),
            (gpt_completions, "logprobs", 6),
            (gpt_completions, "prompt", ["x"] * 9),
            (gpt_completions, "prompt", []),
        ]
    },
    "a long stop": (gpt_chat(stop="x" * 101), ("invalid_request", "stop.0")),
    "token ids": (gpt_completions(prompt=[1, 2]), ("invalid_request", "prompt")),
    "log probabilities included": (
        gpt_responses(include=LOGPROBS),
        (UNSUPPORTED, "include"),
    ),
    "other things to include": (
        gpt_responses(include=["reasoning"]),
        (UNSUPPORTED, "include"),
    ),
    "instructions": (
        gpt_responses(instructions="Be brief."),
        ("unsupported_messages", "input"),
    ),
    "earlier messages": (
        gpt_chat(messages=[*MESSAGES, assistant, *MESSAGES]),
        ("unsupported_messages", "messages"),
    ),
    "no order": (gpt_responses(input=[]), ("no_user_message", None)),
    "a long order": (
        gpt_completions(prompt="x" * 1001),
        ("unusable_text", "prompt"),
    ),
    "another field": (
        chat_parse(Wide, **ASKED, messages=MESSAGES),
        ("unsupported_schema", "comment"),
    ),
    "an enum": (
        chat_parse(Choice, **ASKED, messages=MESSAGES),
        ("unsupported_schema", "part"),
    ),
    "a field missing": (
        chat_parse(Free, **ASKED, messages=MESSAGES),
        ("unsupported_schema", "action"),
    ),
}


@pytest.mark.parametrize("ask", OPTIONS_REFUSED)
def test_refused_options(client, ask):
    ask, (code, param) = OPTIONS_REFUSED[ask]
    with pytest.raises(BAD) as caught:
        client(ask)
    check(caught.value, BAD, 400, code, param)
