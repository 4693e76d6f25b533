"""The model, the service around it, its command line, and connect()."""

import asyncio
import json
import logging
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx2
import numpy as np
import openai
import psutil
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prometheus_client.parser import text_string_to_metric_families
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from strict_nbval import ROOT

from helpers import CREWS, hosted, load_orders, normalise, promptable, split_by_time
from helpers.errors import CourseError, InputError, ModelError
from helpers.gpt import NAME as GPT
from helpers.promptable import DIMENSIONS, NAME, Task, grams, load_promptable
from helpers.service import Service, _bind, key_files, keys, middleware, start
from helpers.service import __main__ as command
from helpers.service.access_log import AccessLog
from helpers.service.backends.prompted import answer
from helpers.service.backends.registry import Registry
from helpers.service.faults import HEADER
from helpers.service.generation import Generation, Prompt
from helpers.service.responses import new_id

DESCRIPTIONS = (
    "air conditioner, fan, seat, wiper, window of the cab",
    "lights, wiring, battery, alternator, radio, camera, isolator",
    "engine, coolant, fuel, exhaust, turbo, radiator, air filter, starter",
    "hydraulic oil leak, hose, pump, cylinder, ram, valve, fitting",
    "grease, lube line, auto lube, lubrication pump, injector",
    "fire system, extinguisher, ladder, hand rail, step, emergency stop",
    "bucket, teeth, shroud, lip, boom, stick, crack, weld, wear plate, pin",
    "track, roller, idler, sprocket, final drive, swing motor, slew gear",
)
INSTRUCTIONS = "- electrical: lights, wiring\n- hydraulic: oil leak, hose, pump"


@pytest.fixture(scope="module")
def model():
    return load_promptable()


@pytest.fixture
def service():
    with start(faults=True) as service:
        yield service


def soon(what, seconds=120):
    """Whether something comes true within some seconds."""
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.01)
    return what()


# --- the model


def test_grams_and_vectors_equal_scikit_learn(model, split):
    tfidf = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 4), min_df=3, sublinear_tf=True
    )
    analyse = tfidf.build_analyzer()
    for text in ["", "a", "lh", "lh oil", *split.test["clean"][:200]]:
        assert list(grams(text)) == analyse(text)
    orders = load_orders()
    before = orders["date"] < split.test["date"].min()
    tfidf.fit(sorted(set(orders.loc[before, "clean"])))
    assert tfidf.get_feature_names_out().tolist() == list(model._index)
    np.testing.assert_allclose(model._idf, tfidf.idf_, rtol=1e-6)
    svd = TruncatedSVD(DIMENSIONS)
    svd.components_ = model._axes.T.astype(float)
    texts = split.test["text"].tolist()
    expected = svd.transform(tfidf.transform(map(normalise, texts)))
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    vectors = model.embed(texts)
    assert vectors.dtype == np.float32 and vectors.shape == (len(texts), DIMENSIONS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_an_unknown_text_gets_no_vector_and_equal_chances(model):
    for text in "", "zzzqqq xxxjjj":
        assert not model.embed([text]).any()
        chances = model.probabilities(text, Task(("a", "b", "c"), ("oil", "", "")))
        assert chances == pytest.approx([1 / 3] * 3) and chances.sum() == 1


def test_a_better_prompt_gives_a_better_score(model, split):
    rows = [split.train[split.train["crew"] == crew].tail(32) for crew in CREWS]
    examples = tuple(
        (text, crew) for crew, some in zip(CREWS, rows) for text in some["text"]
    )

    def score(*prompt):
        task = Task(tuple(CREWS), *prompt)
        said = [model.probabilities(t, task).argmax() for t in split.test["text"]]
        return f1_score(split.test["crew"], np.array(CREWS)[said], average="macro")

    names = score(("",) * len(CREWS))
    described = score(DESCRIPTIONS)
    shown = score(DESCRIPTIONS, examples)
    assert 1 / len(CREWS) < names < described - 0.1 and described < shown - 0.03


def ask(model, instructions, *turns, schema=None):
    turns = tuple(zip(("user", "assistant") * len(turns), turns))
    return answer(model, Prompt(instructions, turns, schema)).text


def test_examples_move_the_answer(model):
    text = "replace headlight globe"
    assert ask(model, INSTRUCTIONS, text) == "electrical"
    assert ask(model, INSTRUCTIONS, text, "hydraulic", text) == "hydraulic"
    shown = f"{INSTRUCTIONS}\n{text} => hydraulic"
    assert ask(model, shown, text) == "hydraulic"
    assert ask(model, f"{shown}\n{text}".replace("=> h", "=>h"), text) == "hydraulic"
    assert ask(model, "", f"{shown}\n{text}") == "hydraulic"  # all in one message


def test_labels_may_look_like_numbers(model):
    labels, text = "- 1:\n- 2:", "replace headlight globe"
    assert ask(model, labels, text) == "2"
    assert ask(model, f"{labels}\n{text} => 1", text) == "1"
    assert ask(model, labels, text, "1", text) == "1"


def test_unsure(model):
    schema = {
        "properties": {
            "crew": {"enum": ["electrical", "hydraulic", "unsure"]},
            "confidence": {"type": "number"},
        }
    }

    def said(text, line=""):
        return json.loads(ask(model, INSTRUCTIONS + line, text, schema=schema))

    sure = said("hyd hose leaking")
    assert sure["crew"] == "hydraulic" and 0.5 < sure["confidence"] < 1
    above = said("hyd hose leaking", f"\n- unsure: below {sure['confidence'] + 0.001}")
    below = said("hyd hose leaking", f"\n- unsure: below {sure['confidence'] - 0.001}")
    assert above == sure | {"crew": "unsure"} and below == sure
    assert said("zzzqqq")["crew"] == "electrical"  # 0.5 is reached
    assert said("zzzqqq", "\n- unsure: under 0.6")["crew"] == "unsure"
    assert said("zzzqqq", "\n- unsure: if nothing fits")["crew"] == "electrical"
    three = INSTRUCTIONS + "\n- engine: coolant\n- unsure:"
    assert ask(model, three, "zzzqqq") == "unsure"


@pytest.mark.parametrize(
    ("task", "what"),
    [
        (Task(("a",), ("",)), "at least two different labels"),
        (Task(("a", "a", "b"), ("", "", "")), "at least two different labels"),
        (Task(("a", "b"), ("", ""), (("oil", "c"),)), "has the label 'c'"),
    ],
)
def test_bad_tasks(model, task, what):
    with pytest.raises(InputError, match=what):
        model.probabilities("oil leak", task)


def test_a_missing_model_is_built(monkeypatch, tmp_path):
    """From the texts before the test period, here of 1,200 orders only."""
    orders = load_orders().tail(1200)
    monkeypatch.setattr(promptable, "load_orders", lambda: orders)
    built = load_promptable(tmp_path / "new")
    before = orders["date"] < split_by_time(orders).test["date"].min()
    again = promptable.fit_promptable(sorted(set(orders.loc[before, "clean"])))
    assert list(built._index) == list(again._index)
    vectors = built.embed(["hyd hose leaking"]), again.embed(["hyd hose leaking"])
    np.testing.assert_allclose(*vectors, atol=1e-5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["axes.npz"]


def test_a_damaged_model_is_named_with_the_next_step(model, tmp_path):
    whole = (promptable.FOLDER / "axes.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in b"", b"half a file", whole[: len(whole) // 2], bytes(flipped):
        (tmp_path / "axes.npz").write_bytes(damaged)
        with pytest.raises(ModelError, match="Delete that folder") as caught:
            load_promptable(tmp_path)
        assert str(tmp_path) in str(caught.value)
    np.savez(tmp_path / "axes.npz", vocabulary=np.zeros(2, np.uint8))
    with pytest.raises(ModelError, match="Delete that folder"):
        load_promptable(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="make it writable"):
        load_promptable(tmp_path / "file" / "model")


# --- keys and limits


def test_only_digests_of_keys_are_kept():
    some = keys.Keys(60, 5)
    key, other = some.new("line-1"), some.new("line-1")
    assert len(key) > 40 and key != other
    for one in key, other:
        assert one.encode() not in pickle.dumps(some)
        assert some.digest(one).encode() in pickle.dumps(some)
    assert some.find(f"Bearer {key}").owner == some.find(f"bearer  {key} ").owner
    for wrong in "", key, f"Basic {key}", f"Bearer {key[:-1]}", "Bearer", "Bearer ":
        assert some.find(wrong) is None
    with pytest.raises(InputError, match="at least 1"):
        keys.Keys(0, 5)
    for nobody in "", "-":  # the access log's sign for nobody
        with pytest.raises(InputError, match="needs a name"):
            some.new(nobody)


def get(service, path, key=None, **options):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url, method = service.base_url.removesuffix("/v1"), options.pop("method", "GET")
    options |= {"trust_env": False, "timeout": 60}
    return httpx2.request(method, url + path, headers=headers, **options)


def test_two_owners_and_a_revoked_key(service):
    one, two = service.keys.new("line-1"), service.keys.new("line-2")
    for key in one, two:
        assert get(service, "/v1/models", key).status_code == 200
    service.keys.revoke("line-1")
    assert get(service, "/v1/models", one).status_code == 401
    assert get(service, "/v1/models", two).status_code == 200
    owners = ["line-1", "line-2", "-", "line-2"]
    assert [entry["owner"] for entry in service.access_log()] == owners


def test_each_owner_has_a_limit():
    some = keys.Keys(per_minute=1, burst=1)
    one, two = some.new("line-1"), some.new("line-2")
    with start(keys=some) as service:
        said = [get(service, "/v1/models", key).status_code for key in (one, one, two)]
    assert said == [200, 429, 200]


def test_token_bucket(monkeypatch):
    now = 100.0
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: now))
    bucket = keys.Bucket(2, per_second=0.5, last=now)
    assert [bucket.take(), bucket.take()] == [0, 0]
    assert bucket.take() == 2.0
    now += 1
    assert bucket.take() == 1.0  # a refused request costs nothing
    now += 1
    assert bucket.take() == 0.0 and bucket.take() == 2.0
    now += 1000
    assert [bucket.take(), bucket.take(), bucket.take()] == [0, 0, 2]  # never above 2


def test_the_cache_of_prompts_holds_no_text(model):
    task = Task(("a", "b"), ("oil wombat77", ""), (("leak wombat78", "a"),))
    model.probabilities("oil leak", task)
    assert b"wombat7" not in pickle.dumps(model._cache)
    first = model._label_vectors(task)
    for number in range(2 * promptable.MAX_CACHED):
        model.probabilities("oil leak", Task(("a", "b"), (f"oil {number}", "")))
    assert len(model._cache) == promptable.MAX_CACHED
    np.testing.assert_array_equal(model._label_vectors(task), first)


# --- what is noted, and what is not


def test_the_access_log_is_kept_by_days(tmp_path, capsys):
    log = AccessLog(tmp_path, days=3)
    today = f"service_access-{time.strftime('%Y-%m-%d', time.gmtime())}.jsonl"
    days = ("2999-01-30", "2999-01-31", "2999-02-01", "2999-02-02", "2999-02-02")
    for number, day in enumerate(days):
        log.note({"time": f"{day}T01:02:03Z", "request_id": f"req_{number}"})
    log.close()
    kept = {path.name: path.read_text() for path in sorted(tmp_path.iterdir())}
    assert today not in kept and len(log.entries) == 5
    assert list(kept) == [f"service_access-{day}.jsonl" for day in sorted({*days[1:]})]
    assert kept["service_access-2999-02-02.jsonl"].count("\n") == 2
    for _ in range(2):  # the disk is full: said once, and the service goes on
        log._file = SimpleNamespace(write=Full(), close=lambda: None)
        log.note({"time": "2999-02-02T01:02:03Z"})
    assert capsys.readouterr().err.count("access log is not written") == 1


class Full:
    def __call__(self, text):
        raise OSError("No space left on device")


def test_nothing_of_an_order_or_key_is_kept(
    monkeypatch, tmp_path, caplog, capfd, model
):
    caplog.set_level(logging.INFO)
    marker = "wombat77"
    folder = tmp_path / "logs"

    class Crashing(promptable.Promptable):
        def probabilities(self, text, task):
            if "crash" in text:
                raise ValueError(text)
            return super().probabilities(text, task)

    crashing = Crashing(list(model._index), model._idf, model._axes)
    monkeypatch.setattr(promptable, "load_promptable", lambda: crashing)
    with start(faults=True, log_folder=folder) as service:

        def post(path, body, key=service.key, **headers):
            headers = {"authorization": f"Bearer {key}", **headers}
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["content-type"] = "application/json"
            url = f"{service.base_url}{path}"
            options = {"trust_env": False, "timeout": 60}
            return httpx2.post(url, content=raw, headers=headers, **options).status_code

        ok = {"model": NAME, "instructions": INSTRUCTIONS, "input": f"oil {marker}"}
        messages = [{"role": "user", "content": f"{INSTRUCTIONS}\n{marker}"}]
        form = {"type": "json_schema", "schema": {"properties": {marker: {}}}}
        assert [
            post("/responses", ok),
            post("/responses", ok | {"metadata": {marker: marker}}),
            post("/responses", ok | {"input": f"crash {marker}"}),
            post("/responses", ok, **{HEADER: marker}),
            post("/responses", ok, **{HEADER: "server_error"}),
            post("/responses", ok, key=marker),
            post("/responses", ok | {"model": marker}),
            post("/responses", ok | {marker: marker}),
            post("/responses", ok | {"instructions": f"- {marker}: {marker}"}),
            post("/responses", ok | {"text": {"format": form}}),
            post("/responses", b'{"input": "%s' % marker.encode()),
            post("/responses", ok | {"input": marker * 200_000}),
            post("/chat/completions", {"model": NAME, "messages": messages}),
            post("/embeddings", {"model": NAME, "input": [marker]}),
            post("/embeddings", {"model": NAME, "input": [{marker: marker}]}),
            post(f"/{marker}", ok),
            get(service, f"/v1/models/{marker}", service.key).status_code,
            get(service, f"/{marker}").status_code,
        ] == [
            *(200, 200, 500, 400, 500, 401, 404, 400, 400, 400, 400, 413),
            *(200, 200, 400, 404, 404, 404),
        ]
        with pytest.raises(httpx2.RemoteProtocolError):
            post("/responses", ok | {"stream": True}, **{HEADER: "dropped_stream"})
        metrics = get(service, "/metrics").text
    client_only = ("httpx", "httpcore")
    logged = [r for r in caplog.records if not r.name.startswith(client_only)]
    assert logged == []
    (file,) = folder.iterdir()
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert entries == service.access_log() and len(entries) == 20
    assert len({entry["request_id"] for entry in entries}) == 20
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    for text in json.dumps(entries), metrics:
        assert marker not in text and service.key not in text
    fields = ("owner", "route", "model", "status", "tokens_written")
    assert [entries[0][field] for field in fields] == [
        *("notebook", "/v1/responses", NAME, 200, 3)
    ]
    assert set(entries[0]) == {
        *fields,
        *("time", "request_id", "tokens_read", "milliseconds", "previous"),
    }


def test_metrics_count(service):
    client = service.client(max_retries=0)
    read = written = 0
    for _ in range(3):
        said = client.responses.create(
            model=NAME, instructions=INSTRUCTIONS, input="oil leak"
        )
        read += said.usage.input_tokens
        written += said.usage.output_tokens
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="gpt-0", input="oil leak")
    client.close()
    page = get(service, "/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }
    route = "/v1/responses"
    assert found["course_requests_total", route, "200", "notebook"] == 3
    assert found["course_requests_total", route, "404", "notebook"] == 1
    assert found["course_request_seconds_count", route] == 4
    assert found["course_tokens_total", "notebook", "read"] == read
    assert found["course_tokens_total", "notebook", "written"] == written


def test_health_needs_no_key(service):
    said = get(service, "/health")
    assert said.json() == {"status": "ok", "models": [NAME, GPT]}
    assert (
        said.headers["x-request-id"] != get(service, "/health").headers["x-request-id"]
    )


def test_a_failing_model_is_a_500_with_an_id(monkeypatch, model):
    broken = promptable.Promptable(list(model._index), model._idf[:5], model._axes)
    monkeypatch.setattr(promptable, "load_promptable", lambda: broken)
    with start() as service:
        body = {"model": NAME, "instructions": INSTRUCTIONS, "input": "oil leak"}
        for _ in range(2):  # the connection survives
            said = get(service, "/v1/responses", service.key, method="POST", json=body)
            assert said.status_code == 500
            assert said.json()["error"]["message"].endswith("the kind IndexError.")
            assert said.headers["x-request-id"] in str(service.access_log())
        assert [entry["status"] for entry in service.access_log()] == [500, 500]


def test_slow_answers_and_slow_requests_end(monkeypatch, service):
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": "oil leak"}
    with start(answer_seconds=0.1, faults=True) as short:
        short.misbehave("notebook", "slow")
        said = get(short, "/v1/responses", short.key, method="POST", json=body)
    assert (said.status_code, said.json()["error"]["code"]) == (504, "timeout")
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", service.port), 60) as sock:
        head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        sock.sendall(f"{head}Authorization: Bearer {service.key}\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 408 ")


class Held:
    """Answers nothing before it is told to."""

    name = "held"

    def __init__(self):
        self.waiting, self.go_on = 0, threading.Event()

    async def answer(self, prompt):
        self.waiting += 1
        while not self.go_on.is_set():
            await asyncio.sleep(0.01)
        return Generation.whole("done", 1, prompt)


def test_too_many_at_a_time_are_refused_in_the_usual_shape(monkeypatch):
    monkeypatch.setattr(middleware, "MAX_INSIDE", 2)
    held = Held()
    with start(more=[held]) as service, ThreadPoolExecutor(2) as pool:

        def ask():
            body = {"model": "held", "input": "oil leak"}
            return get(service, "/v1/responses", service.key, method="POST", json=body)

        asked = [pool.submit(ask) for _ in range(2)]
        assert soon(lambda: held.waiting == 2)
        refused = ask()
        held.go_on.set()
        assert [one.result().status_code for one in asked] == [200, 200]
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
        assert get(service, "/health").status_code == 200


# --- starting and stopping in a notebook


def test_a_draining_service_is_not_ready_but_alive_and_answers():
    with start() as service:
        assert get(service, "/ready").json() == {"status": "ready"}
        service.drain()
        assert get(service, "/ready").status_code == 503
        assert get(service, "/health").status_code == 200
        assert get(service, "/v1/models", service.key).status_code == 200


def test_a_busy_port(service):
    with pytest.raises(CourseError, match=f"Port {service.port} cannot be used") as e:
        start(service.port)
    assert "Stop the program that uses it, or choose another" in str(e.value)
    with pytest.raises(CourseError, match="Port 70000 cannot be used"):
        start(70_000)


def test_stop_finishes_what_is_in_flight():
    service = start(faults=True)
    service.misbehave("notebook", "slow")
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": "oil leak"}
    said = []

    def ask_slowly():
        url, key = "/v1/responses", service.key
        said.append(get(service, url, key, method="POST", json=body))

    thread = threading.Thread(target=ask_slowly, daemon=True)
    thread.start()
    assert soon(lambda: service._server.server_state.tasks)
    service.stop()
    thread.join(60)
    assert said[0].status_code == 200 and service.access_log()[-1]["status"] == 200
    assert not service.running and not service._thread.is_alive()
    service.stop()  # a second time does nothing
    with pytest.raises(httpx2.ConnectError):
        get(service, "/health")
    with start(service.port) as again:
        assert again.port == service.port and again.key != service.key
        assert get(again, "/health").status_code == 200
        assert get(again, "/v1/models", service.key).status_code == 401


def test_what_outlives_a_stop_is_answered_and_noted():
    held = Held()
    service = start(more=[held])
    body = {"model": "held", "input": "oil leak"}
    options = {"method": "POST", "json": body}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(get, service, "/v1/responses", service.key, **options)
        assert soon(lambda: held.waiting)
        service.stop(0.2)
        said = asked.result()
    error = said.json()["error"]
    assert (said.status_code, error["code"]) == (503, "stopped")
    assert error["type"] == "server_error" and said.headers["x-request-id"]
    assert [entry["status"] for entry in service.access_log()] == [503]


def test_starting_and_stopping_leaks_nothing():
    def held():
        return threading.active_count(), len(psutil.Process().net_connections())

    with start() as service:
        get(service, "/health")
    before = held()
    for _ in range(10):
        with start() as service:
            body = {"model": NAME, "input": "oil leak"}  # in a thread of its own
            said = get(service, "/v1/embeddings", service.key, method="POST", json=body)
            assert said.status_code == 200
    assert soon(lambda: all(now <= then for now, then in zip(held(), before))), held()


# --- python -m helpers.service


class Foreground:
    """The service as a process, and what it printed until it was ready."""

    def __init__(self, state, *arguments):
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.service", *arguments],
            env=os.environ | {"COURSE_STATE": str(state), "PYTHONUTF8": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.printed = ""
        while "hash is kept" not in self.printed and "lost it?" not in self.printed:
            line = self.process.stdout.readline()
            if not line:
                break
            self.printed += line
        self.settings = dict(re.findall(r"(OPENAI_\w+)='([^']+)'", self.printed))
        if found := re.search(r"OPENAI_API_KEY: it is in (.+)", self.printed):
            file = Path(found[1])
            assert file.stat().st_mode & 0o077 == 0
            self.settings["OPENAI_API_KEY"] = file.read_text(encoding="utf-8")
            file.unlink()  # handed over

    def end(self, number=None):
        """Exit code, and what was printed since."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.fixture
def foreground(tmp_path, model):
    """Start services in a folder of their own that has the model already."""
    shutil.copytree(promptable.FOLDER, tmp_path / "models" / NAME)
    running = []

    def run(*arguments):
        running.append(Foreground(tmp_path, *arguments))
        return running[-1]

    yield run
    for one in running:
        one.process.kill()
        one.process.communicate()


def classify(settings):
    """One request from a client that knows only these settings."""
    url, key = settings["OPENAI_BASE_URL"], settings["OPENAI_API_KEY"]
    with hosted.local_client(url, key, max_retries=0) as client:
        said = client.responses.create(
            model=settings["OPENAI_MODEL"], instructions=INSTRUCTIONS, input="oil leak"
        )
    return said.output_text


def memory_after_200_requests(pid, url, key):
    """In MB."""
    body = {"model": NAME, "instructions": INSTRUCTIONS}
    headers = {"authorization": f"Bearer {key}"}
    with httpx2.Client(headers=headers, trust_env=False, timeout=60) as client:
        for number in range(200):
            body["input"] = f"oil leak {number}"
            assert client.post(f"{url}/responses", json=body).status_code == 200
    return psutil.Process(pid).memory_info().rss / 1e6


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process there")
def test_command_line(foreground, tmp_path):
    first = foreground()
    assert set(first.settings) == {"OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"}
    key, url = first.settings["OPENAI_API_KEY"], first.settings["OPENAI_BASE_URL"]
    assert classify(first.settings) == "hydraulic"
    seconds = time.monotonic() - first.begun
    used = sum(psutil.Process(first.process.pid).cpu_times()[:2])
    memory = memory_after_200_requests(first.process.pid, url, key)
    assert memory < 300 or sys.platform != "linux"  # counted otherwise elsewhere
    port = url.removesuffix("/v1").rpartition(":")[2]
    assert first.end(signal.SIGTERM) == (0, "Stopped.\n", "")

    second = foreground("--port", port)  # at once on the same port
    assert set(second.settings) == {"OPENAI_BASE_URL", "OPENAI_MODEL"}
    assert second.settings["OPENAI_BASE_URL"] == url and key not in second.printed
    assert classify(first.settings) == "hydraulic"
    other = foreground("--port", port, "--owner", "line-2")
    code, out, err = other.end()
    assert (code, out) == (1, "") and "Traceback" not in err
    assert f"Port {port} cannot be used" in err and "choose another" in err
    second.process.kill()  # without any goodbye
    second.process.communicate()

    third = foreground("--port", port, "--owner", "line-2")
    assert third.settings["OPENAI_API_KEY"] != key  # first shown now, and so it works
    assert classify(first.settings) == classify(third.settings) == "hydraulic"
    assert third.end(signal.SIGINT) == (0, "Stopped.\n", "")
    saved = (tmp_path / "service_keys.json").read_text()
    (file,) = tmp_path.glob("service_access-*.jsonl")
    noted = file.read_text()
    for one in key, third.settings["OPENAI_API_KEY"]:
        assert one not in saved + noted + first.printed + third.printed
    assert "oil leak" not in noted and len(noted.splitlines()) == 204
    assert (tmp_path / "service_keys.json").stat().st_mode & 0o077 == 0
    print(f"ready and answered after {seconds:.2f} s, {used:.2f} s of them computing")
    print(f"{memory:.0f} MB after 200 requests")


def test_damaged_keys_and_a_state_that_is_no_folder(tmp_path, capsys):
    path = tmp_path / "service_keys.json"
    for damaged in "", "[1]", "null", "half a fi":
        path.write_text(damaged)
        with pytest.raises(CourseError, match="cannot be read .*Delete it"):
            key_files.load_keys(path, "line-1", 60, 5)
    for folder, what in (tmp_path, "Delete it"), (path, str(path)):
        assert command.main(["--folder", str(folder)]) == 1
        out, err = capsys.readouterr()
        assert what in err and not out and "Traceback" not in err


# --- connect()


@pytest.fixture
def settings(monkeypatch):
    """Set OPENAI_*; at first none is set and no local service runs."""
    for name in "API_KEY", "BASE_URL", "MODEL":
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)
    monkeypatch.setattr(hosted, "_local", None)

    def set_(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"OPENAI_{name.upper()}", value)

    yield set_
    if hosted._local:
        hosted._local.stop()


def test_without_settings_the_local_service_answers(settings):
    found = hosted.connect()
    assert (found.where, found.model, found.api) == ("local service", NAME, "responses")
    local = hosted.local_service()
    assert str(found.client.base_url).rstrip("/") == local.base_url
    assert local.key not in repr(found)
    said = found.client.responses.create(
        model=found.model, instructions=INSTRUCTIONS, input="oil leak"
    )
    assert said.output_text == "hydraulic"
    models = asyncio.run(names(found.async_client))
    assert models == [NAME, GPT]
    settings(api_key="", base_url=" ", model="")  # empty is unset
    assert hosted.connect().client.base_url == found.client.base_url  # the same one
    local.stop()
    again = hosted.connect()  # a stopped one is replaced
    assert again.client.base_url == hosted.local_service().base_url + "/"
    assert hosted.local_service() is not local and hosted.local_service().running


async def names(client):
    async with client:
        return [model.id async for model in client.models.list()]


def test_a_model_that_the_local_service_does_not_have(settings):
    settings(model="gpt-0")
    with pytest.raises(hosted.ConnectionProblem, match="gpt-0.*not served.*" + NAME):
        hosted.connect()


def test_another_server_is_used_as_it_is_named(settings, service):
    settings(api_key=service.key, base_url=service.base_url, model=NAME)
    found = hosted.connect()
    assert (found.where, found.model) == (service.base_url, NAME)
    assert found.api == "responses" and hosted._local is None
    assert found.client.api_key == found.async_client.api_key == service.key


@pytest.mark.parametrize(
    ("key", "model", "what"),
    [
        ("plant-wrong", NAME, r"refuses the key in OPENAI_API_KEY \(401\)"),
        ("", NAME, "wants a key, and OPENAI_API_KEY is not set"),
        ("schlüssel", NAME, "is not a key"),
        ("two keys", NAME, "is not a key"),
        (None, "", f"OPENAI_MODEL is not set.*offers: {NAME}"),
        (None, "gpt-0", f"'gpt-0' is not served here; there is {NAME}"),
    ],
)
def test_wrong_settings(settings, service, key, model, what):
    key = service.key if key is None else key
    settings(api_key=key, base_url=service.base_url, model=model)
    with pytest.raises(hosted.ConnectionProblem, match=what) as caught:
        hosted.connect()
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize("model", ["", NAME])
def test_a_base_url_without_v1(settings, service, model):
    url = service.base_url.removesuffix("/v1")
    settings(api_key=service.key, base_url=url, model=model)
    with pytest.raises(hosted.ConnectionProblem, match="Most base URLs end with /v1"):
        hosted.connect()


def test_nothing_listens(settings):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    settings(api_key="plant-1", base_url=url, model=NAME)
    with pytest.raises(hosted.ConnectionProblem, match=f"Nothing answers at {url}"):
        hosted.connect()
    settings(base_url=url.removeprefix("http://"))
    with pytest.raises(hosted.ConnectionProblem, match="must begin with http"):
        hosted.connect()


def test_a_server_with_chat_completions_only(settings):
    app = FastAPI()

    @app.post("/v1/chat/completions")
    def chat(body: dict):
        if not body.get("messages"):
            return JSONResponse({"error": {"message": "no messages"}}, 400)
        message = {"role": "assistant", "content": "hydraulic"}
        return {
            "id": new_id("chatcmpl"),
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }

    @app.get("/v1/models")
    def models():
        card = {"id": "small", "object": "model", "created": 0, "owned_by": "me"}
        return {"object": "list", "data": [card]}

    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    with Service(server, Registry(), None, AccessLog(None), _bind(0), "") as other:
        settings(base_url=other.base_url, model="small")  # without a key, too
        found = hosted.connect()
        assert (found.where, found.model, found.api) == (
            *(other.base_url, "small", "chat"),
        )
        said = found.client.chat.completions.create(
            model=found.model, messages=[{"role": "user", "content": "oil leak"}]
        )
        assert said.choices[0].message.content == "hydraulic"
        found.client.close()
        settings(model="an-alias")  # which names it takes, such a server knows best
        assert hosted.connect().model == "an-alias"


def test_a_key_that_may_call_no_model(settings):
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    def forbid(path: str):
        return JSONResponse({"error": {"message": "missing scope"}}, 403)

    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    with Service(server, Registry(), None, AccessLog(None), _bind(0), "") as other:
        settings(base_url=other.base_url, api_key="plant-1", model="small")
        with pytest.raises(hosted.ConnectionProblem, match=r"forbids this key"):
            hosted.connect()


@pytest.mark.parametrize(
    ("url", "proxy", "what"),
    [
        ("http://[::1", None, "is not an address"),
        ("http://plant:99999999/v1", None, "Nothing answers"),
        ("https://api.plant.example/v1", "socks5://127.0.0.1:1", "unset them"),
        ("https://api.plant.example/v1", "gopher://127.0.0.1:1", "unset them"),
        ("https://api.plant.example/v1", "http://[::1", "unset them"),
        ("https://api.plant.example/v1", "http://127.0.0.1:9", "Nothing answers"),
    ],
)
def test_odd_addresses_and_proxies_are_named(settings, monkeypatch, url, proxy, what):
    settings(base_url=url, api_key="plant-1", model=NAME)
    if proxy:
        monkeypatch.setenv("ALL_PROXY", proxy)
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(hosted.ConnectionProblem, match=what):
        hosted.connect()


def test_a_missing_file_of_certificates_is_named(settings, monkeypatch, tmp_path):
    settings(base_url="https://api.plant.example/v1", api_key="plant-1", model=NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(hosted.ConnectionProblem, match="SSL_CERT_FILE"):
        hosted.connect()


def test_local_get_asks_no_proxy(service):
    url = f"http://127.0.0.1:{service.port}/health"
    assert hosted.local_get(url).json()["status"] == "ok"


@pytest.mark.parametrize("page", ["<html>please log in</html>", "{"])
def test_a_web_page_is_not_a_model_server(monkeypatch, page):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            kind = "text/html" if page.startswith("<") else "application/json"
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page.encode())

        do_POST = do_GET

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    try:
        with pytest.raises(hosted.ConnectionProblem, match="does not speak"):
            hosted.connect()
    finally:
        server.shutdown()
        server.server_close()


def test_log_handlers_of_the_process_stay_open():
    """A handler may own a stream, as TensorFlow's does: closing it would break that."""
    closed = []
    handler = logging.Handler()
    handler.close = lambda: closed.append(True)
    with start():
        pass
    assert not closed
