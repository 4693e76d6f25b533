"""Models that are registered: names, versions, batches, and the reader's classifier."""

import asyncio
import http.client
import json
import threading
import time
from collections import Counter
from typing import Literal

import numpy as np
import openai
import pytest
from pydantic import BaseModel, create_model

from helpers import InputError, load_router
from helpers.gpt import NAME as GPT
from helpers.gpt import Step
from helpers.hosted import local_async_client, local_get
from helpers.promptable import NAME
from helpers.service import start
from helpers.service.backends.batching import Batcher
from helpers.service.backends.classifier import Classifier
from helpers.service.backends.gpt import MAX_RUNNING
from helpers.service.backends.registry import Registry
from helpers.service.generation import Generation
from helpers.service.http_errors import ServiceError

LABELS = ["fitter", "electrician"]


def by_length(texts):
    """A stand-in model: short texts are for the electrician."""
    found = np.array([[0.1, 0.9] if len(t) < 10 else [0.6, 0.4] for t in texts])
    return found.astype(np.float32)


@pytest.fixture(scope="module")
def service():
    with start() as running:
        yield running


@pytest.fixture(scope="module")
def client(service):
    return service.client(max_retries=0)


@pytest.fixture(scope="module")
def router(service):
    router = load_router("crew")
    served = Classifier(
        "crew-lstm", router.probabilities, router.labels, check=router.encode
    )
    service.models.add(served)
    return router


def said(client, model, text, form):
    answer = client.responses.parse(model=model, input=text, text_format=form)
    return answer.output_parsed


def test_registered_model_is_listed_and_answers_like_the_router(client, router, split):
    assert "crew-lstm" in [model.id for model in client.models.list()]
    fields = {label: (float, ...) for label in router.labels}
    form = create_model(
        "Probabilities", crew=(Literal[tuple(router.labels)], ...), **fields
    )
    for text in split.test["text"][:20]:
        got = said(client, "crew-lstm", text, form)
        expected = router.probabilities(text)
        assert got.crew == router.labels[expected.argmax()]
        served = [getattr(got, label) for label in router.labels]
        np.testing.assert_allclose(served, expected, atol=1e-4)


def test_it_abstains_if_it_may(client, router):
    class MayAbstain(BaseModel):
        crew: Literal[(*router.labels, "unsure")]
        confidence: float

    class MustAnswer(BaseModel):
        crew: Literal[tuple(router.labels)]

    got = said(client, "crew-lstm", "zzz qqq", MayAbstain)
    assert got.crew == "unsure" and got.confidence < 0.5
    assert said(client, "crew-lstm", "zzz qqq", MustAnswer).crew in router.labels
    plain = client.responses.create(model="crew-lstm", input="two lights u/s")
    assert plain.output_text == "electrical"
    for text, label in ("two lights u/s", "electrical"), ("zzz", "unsure"):
        found = client.completions.create(model="crew-lstm", prompt=[text])
        assert found.choices[0].text == label
    with pytest.raises(openai.BadRequestError, match="likeliest answer.* Leave logpro"):
        client.completions.create(model="crew-lstm", prompt="zzz", logprobs=1)
    assert client.responses.create(model="crew-lstm", input="zzz").output_text == (
        "unsure"
    )


@pytest.mark.parametrize(
    ("text", "form", "code"),
    [
        ("x" * 1001, None, "unusable_text"),
        ("lights", {"poem": {"type": "string"}}, "unsupported_schema"),
        ("lights", {"crew": {"enum": ["engine", "plumber"]}}, "unsupported_schema"),
        ("lights", {"crew": {"enum": []}}, "unsupported_schema"),
        ("lights", {}, "unsupported_schema"),
        ("lights", {f"f{n}": {"enum": ["a"]} for n in range(21)}, "unsupported_schema"),
        ("lights", {"crew": {"enum": ["a"] * 50_000}}, "unsupported_schema"),
    ],
)
def test_what_it_cannot_do_is_a_400(client, router, text, form, code):
    options = {}
    if form is not None:
        schema = {"type": "object", "properties": form}
        shape = {"type": "json_schema", "name": "form", "schema": schema}
        options["text"] = {"format": shape}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="crew-lstm", input=text, **options)
    assert caught.value.code == code


class Word(BaseModel):
    word: str
    value: float


@pytest.fixture(scope="module")
def explained(service, router):
    """The same network, now able to say why."""
    whole = (router.probabilities, router.labels)
    make = Classifier("crew-why", *whole, check=router.encode, explain=router.explain)
    service.models.add(make)
    return make.name


@pytest.mark.parametrize("text", ["L/H lights u/s!", "two oil LEAKS on bucket", "???"])
def test_a_form_asks_why_and_the_words_add_up(client, router, explained, text):
    class Why(BaseModel):
        crew: Literal[tuple(router.labels)]
        confidence: float
        base: float
        why: list[Word]

    got = said(client, explained, text, Why)
    wanted, label = router.explain(text), router.labels.index(got.crew)
    assert [one.word for one in got.why] == wanted.words
    values = [one.value for one in got.why]
    np.testing.assert_allclose(values, wanted.values[:, label], atol=1e-4)
    assert abs(got.base + sum(values) - got.confidence) < 1e-3


def test_chat_completions_can_ask_why_too(client, router, explained):
    form = create_model(
        "Why", crew=(Literal[tuple(router.labels)], ...), why=list[Word]
    )
    message = {"role": "user", "content": "lights u/s"}
    answer = client.chat.completions.parse(
        model=explained, messages=[message], response_format=form
    )
    assert [one.word for one in answer.choices[0].message.parsed.why] == [
        "lights",
        "us",
    ]


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("crew-lstm", {"why": {"type": "array", "items": {"$ref": "#/$defs/Word"}}}),
        ("crew-lstm", {"base": {"type": "number"}}),
        ("crew-why", {"why": {"type": "array", "items": {"type": "string"}}}),
        ("crew-why", {"why": {"type": "array", "items": 5}}),
        ("crew-why", {"why": {"type": "string"}}),
        ("crew-why", {"base": {"type": "string"}}),
        ("crew-why", {"because": {"type": "array"}}),
    ],
    ids=str,
)
def test_a_form_that_cannot_be_explained_is_a_400(client, explained, model, field):
    words = {"word": {"type": "string"}, "value": {"type": "number"}}
    defs = {"Word": {"type": "object", "properties": words}}
    schema = {"type": "object", "properties": field, "$defs": defs}
    shape = {"type": "json_schema", "name": "form", "schema": schema}
    with pytest.raises(openai.BadRequestError, match="cannot fill the field") as caught:
        client.responses.create(model=model, input="lights", text={"format": shape})
    assert caught.value.code == "unsupported_schema"
    assert ("named why" in caught.value.message) == (model == "crew-why")


def test_a_label_field_may_be_called_why(client, router, explained):
    form = create_model("Why", why=(Literal[tuple(router.labels)], ...))
    for model in "crew-lstm", explained:
        assert said(client, model, "two lights u/s", form).why == "electrical"


def test_only_the_promptable_model_makes_embeddings(client, router):
    with pytest.raises(openai.BadRequestError, match="makes embeddings"):
        client.embeddings.create(model="crew-lstm", input="lights")


def test_exchange_of_a_version_drops_no_request(service, client):
    old, new = (Classifier(f"short-{n}", by_length, LABELS) for n in (1, 2))
    service.models.add(old)
    service.models.set_alias("short", "short-1")
    with pytest.raises(InputError, match="stand for"):
        service.models.remove("short-1")
    answers, problems, go_on = [], [], threading.Event()
    deadline = time.monotonic() + 300
    go_on.set()

    def ask():
        while go_on.is_set():
            try:
                answer = client.responses.create(model="short", input="lights")
            except openai.OpenAIError as error:
                problems.append(error)
                return
            answers.append(answer.output_text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(answers) < 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    service.models.add(new)
    service.models.set_alias("short", "short-2")
    service.models.remove("short-1")
    before = len(answers)
    while len(answers) < before + 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    go_on.clear()
    for thread in threads:
        thread.join()
    assert not problems and len(answers) >= before + 40
    assert set(answers) == {"electrician"}
    served = {r["model"] for r in service.access_log() if r["status"] == 200}
    assert {"short-1", "short-2"} <= served and "short" not in served
    with pytest.raises(openai.NotFoundError, match="short-2"):
        client.responses.create(model="short-1", input="lights")


def test_names_are_unique_and_known():
    models = Registry(Classifier("a", by_length, LABELS))
    for wrong in (
        lambda: models.add(Classifier("a", by_length, LABELS)),
        lambda: models.set_alias("a", "a"),
        lambda: models.set_alias("b", "c"),
        lambda: models.remove("c"),
        lambda: Classifier("", by_length, LABELS),
        lambda: Classifier("a", by_length, LABELS, minimum=2),
        lambda: Batcher(by_length, size=0),
    ):
        with pytest.raises(InputError):
            wrong()
    with pytest.raises(ServiceError, match="There is: a"):
        models.find("z")


async def submit_all(batcher, texts):
    waiting = (batcher.submit(text) for text in texts)
    return await asyncio.gather(*waiting, return_exceptions=True)


def test_texts_that_wait_together_run_together_and_keep_their_results():
    seen = []

    def lengths(texts):
        seen.append(len(texts))
        time.sleep(0.01)
        return [len(text) for text in texts]

    batcher = Batcher(lengths, size=8)
    texts = ["x" * n for n in range(1, 21)]
    assert asyncio.run(submit_all(batcher, texts)) == list(range(1, 21))
    assert seen == [8, 8, 4]


def test_an_incomplete_batch_waits_for_company_only_if_told():
    async def trickle(batcher):
        first = asyncio.create_task(batcher.submit("a"))
        await asyncio.sleep(0.02)
        return await asyncio.gather(first, batcher.submit("b"))

    def echo(texts):
        seen.append(len(texts))
        return texts

    for wait, batches in ((0.0, [1, 1]), (600, [2])):
        seen = []
        assert asyncio.run(trickle(Batcher(echo, size=2, wait=wait))) == ["a", "b"]
        assert seen == batches


@pytest.mark.parametrize("row", [[0.2, 0.3, 0.5], [np.nan, 0.5], 0.7])
def test_a_model_that_returns_no_probabilities_is_named(service, client, row):
    service.models.add(Classifier("broken", lambda texts: [row for _ in texts], LABELS))
    try:
        with pytest.raises(
            openai.InternalServerError, match="broken returned .* not 2"
        ):
            client.responses.create(model="broken", input="seal")
    finally:
        service.models.remove("broken")


def test_an_alias_of_the_promptable_model_makes_embeddings(service, client):
    service.models.set_alias("embedder", NAME)
    assert "embedder" in [model.id for model in client.models.list()]
    assert client.embeddings.create(model="embedder", input="seal").data
    with pytest.raises(InputError, match="There is a model 'embedder' already"):
        service.models.add(Classifier("embedder", by_length, LABELS))


def test_too_many_records_at_once_are_refused_and_the_rest_is_written(service):
    model = service.models.find(GPT)

    async def ask(client):
        try:
            await client.completions.create(model=GPT, prompt="seal leaking")
        except openai.InternalServerError as error:
            return error.status_code
        return 200

    async def becomes(running):  # a client has its answer before the request ends
        async with asyncio.timeout(120):
            while model.running != running:
                await asyncio.sleep(0.01)

    async def many():
        options = {"api_key": service.key, "max_retries": 0}
        async with local_async_client(service.base_url, **options) as client:
            got = await asyncio.gather(*(ask(client) for _ in range(400)))
            await becomes(0)
            model.running = MAX_RUNNING  # as if so many were being written
            refused = await ask(client)
            await becomes(MAX_RUNNING)  # it did not begin
            model.running = 0
            afterwards = await ask(client)
            await becomes(0)
            return Counter(got), refused, afterwards

    got, refused, afterwards = asyncio.run(many())
    assert got[200] > 0 and got[200] + got[503] == 400
    assert refused == 503 and afterwards == 200


def test_a_full_batch_does_not_wait():
    async def fill(batcher):
        first = asyncio.create_task(batcher.submit("a"))
        await asyncio.sleep(0.02)
        both = asyncio.gather(first, batcher.submit("b"))
        return await asyncio.wait_for(both, 120)

    batcher = Batcher(lambda texts: texts, size=2, wait=600)
    assert asyncio.run(fill(batcher)) == ["a", "b"]


def test_a_model_that_raises_stopiteration_hangs_nobody():
    def stop(texts):
        raise StopIteration

    results = asyncio.run(submit_all(Batcher(stop), "ab"))
    assert {str(error) for error in results} == {"The model raised StopIteration"}


def test_a_full_queue_refuses_at_once():
    batcher = Batcher(lambda texts: texts, size=2, queue=5)
    results = asyncio.run(submit_all(batcher, "abcdefgh"))
    assert results[:5] == list("abcde")
    assert {error.status for error in results[5:]} == {503}
    assert results[5].headers == {"retry-after": "1"}


def test_an_error_of_the_model_reaches_every_caller_and_the_next_batch_works():
    def moody(texts):
        if "bad" in texts:
            raise ValueError("cannot")
        return texts

    batcher = Batcher(moody, size=2)
    first = asyncio.run(submit_all(batcher, ["bad", "good", "fine"]))
    assert [type(result).__name__ for result in first] == [
        "ValueError",
        "ValueError",
        "str",
    ]


def test_a_model_that_returns_too_little_hangs_nobody():
    results = asyncio.run(submit_all(Batcher(lambda texts: texts[:1]), "abc"))
    assert {str(error) for error in results} == {"1 results for 3 texts"}


def test_a_model_is_not_asked_about_nothing():
    async def leave(batcher):
        task = asyncio.create_task(batcher.submit("a"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.1)

    seen = []
    asyncio.run(leave(Batcher(seen.append, size=2, wait=0.05)))
    assert seen == []


def test_a_caller_that_leaves_costs_nothing():
    async def leave(batcher):
        busy = asyncio.create_task(batcher.submit("busy"))
        while not running.is_set():
            await asyncio.sleep(0.001)
        leaver = asyncio.create_task(batcher.submit("leaver"))
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 0  # room for others at once
        go_on.set()
        await asyncio.gather(busy, batcher.submit("stays"), return_exceptions=True)

    def slow(texts):
        running.set()
        go_on.wait(120)
        seen.extend(texts)
        return texts

    seen, running, go_on = [], threading.Event(), threading.Event()
    asyncio.run(leave(Batcher(slow, size=4)))
    assert seen == ["busy", "stays"]


# --- a model that writes token by token


class Watched:
    """Writes many tokens, and counts those that it has computed."""

    name = "watched"

    def __init__(self, count):
        self.count, self.computed = count, 0
        self.seen = threading.Event()  # the client has the first token
        self.closed = threading.Event()  # its request has ended
        self.in_time = None  # whether it had it before the last one was computed

    async def answer(self, prompt):
        return Generation(self._steps(), 1, close=self.closed.set)

    def _steps(self):
        for number in range(self.count - 1):
            self.computed += 1
            yield Step(f"{number} ", -0.1, ())
        self.in_time = self.seen.wait(120)
        self.computed += 1
        yield Step("end", -0.1, (), "stop")


@pytest.fixture
def watched(service):
    models = []

    def offer(count):
        models.append(Watched(count))
        service.models.add(models[0])
        return models[0]

    yield offer
    service.models.remove("watched")


MESSAGES = [{"role": "user", "content": "seal leaking"}]
ENDPOINTS = {
    "/completions": {"prompt": "seal leaking"},
    "/chat/completions": {"messages": MESSAGES},
    "/responses": {"input": "seal leaking"},
}


@pytest.fixture
def begin(service):
    """Send a request, and return the connection before its answer is read."""
    connections = []

    def send(path, **options):
        body = json.dumps({"model": "watched", **ENDPOINTS[path], **options})
        headers = {"Authorization": f"Bearer {service.key}"}
        headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
        connections.append(connection)
        connection.request("POST", f"/v1{path}", body, headers)
        return connection

    yield send
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_token_is_sent_before_the_last_is_computed(watched, begin, path):
    model = watched(2)
    answer = begin(path, stream=True).getresponse()
    received = b""
    while b'"0 "' not in received:
        received += answer.read1()
    assert model.computed == 1
    model.seen.set()
    received += answer.read()
    assert b'"end"' in received and model.in_time and model.computed == 2


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_writing(service, watched, begin, stream):
    model = watched(10**9)
    connection = begin("/chat/completions", stream=stream)
    deadline = time.monotonic() + 120
    while model.computed < 100 and time.monotonic() < deadline:
        time.sleep(0.001)
    url = f"http://127.0.0.1:{service.port}/health"
    assert local_get(url).status_code == 200  # others are served in the meantime
    connection.close()
    assert model.closed.wait(120)
    written = model.computed
    assert local_get(url).status_code == 200  # and what was left to do is done
    assert model.computed == written < 10**9 and model.in_time is None
    entry = [row for row in service.access_log() if row["model"] == "watched"][-1]
    assert entry["tokens_written"] == written
    assert entry["status"] == (200 if stream else 499)
