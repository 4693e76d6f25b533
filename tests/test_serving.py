"""Models that are registered: names, versions, batches, and the reader's classifier."""

import asyncio
import threading
import time
from typing import Literal

import numpy as np
import openai
import pytest
from pydantic import BaseModel, create_model

from helpers import InputError, load_router
from helpers.service import start
from helpers.service.batching import Batcher
from helpers.service.classifier import Classifier
from helpers.service.errors import ServiceError
from helpers.service.models import Models

LABELS = ["fitter", "electrician"]


def by_length(texts):
    """A stand-in model: short texts are for the electrician."""
    chances = np.array([[0.1, 0.9] if len(t) < 10 else [0.6, 0.4] for t in texts])
    return chances.astype(np.float32)


@pytest.fixture(scope="module")
def service():
    with start() as running:
        yield running


@pytest.fixture(scope="module")
def client(service):
    return openai.OpenAI(base_url=service.base_url, api_key=service.key, max_retries=0)


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
    form = create_model("Chances", crew=(Literal[tuple(router.labels)], ...), **fields)
    for text in split.test["text"][:20]:
        got = said(client, "crew-lstm", text, form)
        chances = router.probabilities(text)
        assert got.crew == router.labels[chances.argmax()]
        served = [getattr(got, label) for label in router.labels]
        np.testing.assert_allclose(served, chances, atol=1e-4)


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


def test_only_the_promptable_model_makes_embeddings(client, router):
    with pytest.raises(openai.BadRequestError, match="makes embeddings"):
        client.embeddings.create(model="crew-lstm", input="lights")


def test_exchange_of_a_version_drops_no_request(service, client):
    old, new = (Classifier(f"short-{n}", by_length, LABELS) for n in (1, 2))
    service.models.add(old)
    service.models.point("short", "short-1")
    with pytest.raises(InputError, match="point to"):
        service.models.remove("short-1")
    answers, problems, go_on = [], [], threading.Event()
    deadline = time.monotonic() + 30
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
    service.models.point("short", "short-2")
    service.models.remove("short-1")
    before = len(answers)
    while len(answers) < before + 40 and time.monotonic() < deadline:
        time.sleep(0.01)
    go_on.clear()
    for thread in threads:
        thread.join()
    assert not problems and len(answers) >= before + 40
    assert set(answers) == {"electrician"}
    served = {r["model"] for r in service.audit() if r["status"] == 200}
    assert "short" in served
    assert sum(old.batcher.batches) > 0 and sum(new.batcher.batches) > 0
    with pytest.raises(openai.NotFoundError, match="short-2"):
        client.responses.create(model="short-1", input="lights")


def test_names_are_unique_and_known():
    models = Models(Classifier("a", by_length, LABELS))
    for wrong in (
        lambda: models.add(Classifier("a", by_length, LABELS)),
        lambda: models.point("a", "a"),
        lambda: models.point("b", "c"),
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
    assert seen == [8, 8, 4] == list(batcher.batches)


def test_an_incomplete_batch_waits_for_company_only_if_told():
    async def trickle(batcher):
        first = asyncio.create_task(batcher.submit("a"))
        await asyncio.sleep(0.02)
        return await asyncio.gather(first, batcher.submit("b"))

    for wait, batches in ((0.0, [1, 1]), (0.2, [2])):
        batcher = Batcher(lambda texts: texts, size=2, wait=wait)
        assert asyncio.run(trickle(batcher)) == ["a", "b"]
        assert list(batcher.batches) == batches


def test_a_full_queue_refuses_at_once():
    def slow(texts):
        time.sleep(0.05)
        return texts

    results = asyncio.run(submit_all(Batcher(slow, size=2, queue=5), "abcdefgh"))
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


def test_a_caller_that_leaves_costs_nothing():
    async def leave(batcher):
        busy = asyncio.create_task(batcher.submit("busy"))
        await asyncio.sleep(0.01)
        leaver = asyncio.create_task(batcher.submit("leaver"))
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.gather(busy, batcher.submit("stays"), return_exceptions=True)

    def slow(texts):
        time.sleep(0.03)
        seen.extend(texts)
        return texts

    seen = []
    asyncio.run(leave(Batcher(slow, size=4)))
    assert seen == ["busy", "stays"]
