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

from helpers import CREWS, hosted, load_orders, normalise, promptable
from helpers.errors import CourseError, InputError, ModelError
from helpers.gpt import NAME as GPT
from helpers.promptable import DIMENSIONS, NAME, Task, grams, load_promptable
from helpers.service import Service, _bind, gate, keys, start
from helpers.service.__main__ import load_keys
from helpers.service.faults import HEADER
from helpers.service.models import Models
from helpers.service.prompt import Ask, answer
from helpers.service.protocol import new_id

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


def soon(what, seconds=10):
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
    return answer(model, Ask(instructions, turns, schema)).text


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


def test_a_missing_model_is_built(model, tmp_path):
    built = load_promptable(tmp_path / "new")
    assert list(built._index) == list(model._index)
    vectors = built.embed(["hyd hose leaking"]), model.embed(["hyd hose leaking"])
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
    assert some.find(f"Bearer {key}").name == some.find(f"bearer  {key} ").name
    for wrong in "", key, f"Basic {key}", f"Bearer {key[:-1]}", "Bearer", "Bearer ":
        assert some.find(wrong) is None
    with pytest.raises(InputError, match="at least 1"):
        keys.Keys(0, 5)


def get(service, path, key=None, **options):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = service.base_url.removesuffix("/v1") + path
    return httpx2.request(options.pop("method", "GET"), url, headers=headers, **options)


def test_two_lines_and_a_revoked_key(service):
    one, two = service.keys.new("line-1"), service.keys.new("line-2")
    for key in one, two:
        assert get(service, "/v1/models", key).status_code == 200
    service.keys.revoke("line-1")
    assert get(service, "/v1/models", one).status_code == 401
    assert get(service, "/v1/models", two).status_code == 200
    lines = ["line-1", "line-2", "-", "line-2"]
    assert soon(lambda: [entry["line"] for entry in service.audit()] == lines)


def test_each_line_has_its_own_limit():
    some = keys.Keys(per_minute=1, burst=1)
    one, two = some.new("line-1"), some.new("line-2")
    with start(keys=some, key=one) as service:
        assert service.key == one
        said = [get(service, "/v1/models", key).status_code for key in (one, one, two)]
    assert said == [200, 429, 200]


def test_token_bucket(monkeypatch):
    now = 100.0
    monkeypatch.setattr(keys, "time", SimpleNamespace(monotonic=lambda: now))
    bucket = keys.Bucket(2, per_second=0.5, last=now)
    assert [bucket.take(), bucket.take()] == [0, 0]
    assert bucket.take() == 2.0 and bucket.seconds_to_full == 4.0
    now += 1
    assert bucket.take() == 1.0  # a refused request costs nothing
    now += 1
    assert bucket.take() == 0.0 and bucket.take() == 2.0
    now += 1000
    assert [bucket.take(), bucket.take(), bucket.take()] == [0, 0, 2]  # never above 2


# --- what is noted, and what is not


def test_nothing_of_an_order_or_key_is_kept(
    monkeypatch, tmp_path, caplog, capfd, model
):
    caplog.set_level(logging.INFO)
    marker = "wombat77"
    file = tmp_path / "logs" / "audit.jsonl"

    class Crashing(promptable.Promptable):
        def probabilities(self, text, task):
            if "crash" in text:
                raise ValueError(text)
            return super().probabilities(text, task)

    crashing = Crashing(list(model._index), model._idf, model._axes)
    monkeypatch.setattr(promptable, "load_promptable", lambda: crashing)
    with start(faults=True, audit_file=file) as service:

        def post(path, body, key=service.key, **headers):
            headers = {"authorization": f"Bearer {key}", **headers}
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["content-type"] = "application/json"
            url = f"{service.base_url}{path}"
            return httpx2.post(url, content=raw, headers=headers).status_code

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
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert entries == service.audit() and len(entries) == 20
    assert len({entry["request"] for entry in entries}) == 20
    printed = capfd.readouterr()
    assert printed.out == printed.err == ""
    for text in json.dumps(entries), metrics:
        assert marker not in text and service.key not in text
    fields = ("line", "route", "model", "status", "tokens_written")
    assert [entries[0][field] for field in fields] == [
        *("notebook", "/v1/responses", NAME, 200, 3)
    ]
    assert set(entries[0]) == {
        *fields,
        *("time", "request", "tokens_read", "milliseconds"),
    }


def test_metrics_count(service):
    client = openai.OpenAI(
        api_key=service.key, base_url=service.base_url, max_retries=0
    )
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
            number = said.headers["x-request-id"]
            assert soon(lambda n=number: n in str(service.audit()))
        assert [entry["status"] for entry in service.audit()] == [500, 500]


def test_slow_answers_and_slow_requests_end(monkeypatch, service):
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": "oil leak"}
    with start(answer_seconds=0.1, faults=True) as short:
        short.misbehave("notebook", "slow")
        said = get(short, "/v1/responses", short.key, method="POST", json=body)
    assert (said.status_code, said.json()["error"]["code"]) == (504, "timeout")
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", service.port), 10) as sock:
        head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        sock.sendall(f"{head}Authorization: Bearer {service.key}\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_too_many_at_a_time_are_refused_in_the_usual_shape(monkeypatch):
    monkeypatch.setattr(gate, "MAX_INSIDE", 2)
    body = {"model": NAME, "instructions": INSTRUCTIONS, "input": "oil leak"}
    with start(faults=True) as service, ThreadPoolExecutor(8) as pool:
        service.misbehave("notebook", "distant")
        asked = [
            pool.submit(
                get, service, "/v1/responses", service.key, method="POST", json=body
            )
            for _ in range(8)
        ]
        statuses = [one.result().status_code for one in asked]
        assert set(statuses) == {200, 503} and statuses.count(200) >= 2
        refused = next(one.result() for one in asked if one.result().status_code == 503)
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
    thread.join(10)
    assert said[0].status_code == 200 and service.audit()[-1]["status"] == 200
    assert not service.running and not service._thread.is_alive()
    service.stop()  # a second time does nothing
    with pytest.raises(httpx2.ConnectError):
        get(service, "/health")
    with start(service.port) as again:
        assert again.port == service.port and again.key != service.key
        assert get(again, "/health").status_code == 200
        assert get(again, "/v1/models", service.key).status_code == 401


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
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def foreground(tmp_path, model):
    """Start services in a folder of their own that has the model already."""
    shutil.copytree(promptable.FOLDER, tmp_path / "models" / NAME)
    running = []

    def run(*arguments, state=tmp_path):
        running.append(Foreground(state, *arguments))
        return running[-1]

    yield run
    for one in running:
        one.process.kill()
        one.process.communicate()


def classify(settings):
    """One request from a client that knows only these settings."""
    with openai.OpenAI(
        api_key=settings["OPENAI_API_KEY"],
        base_url=settings["OPENAI_BASE_URL"],
        max_retries=0,
    ) as client:
        said = client.responses.create(
            model=settings["OPENAI_MODEL"], instructions=INSTRUCTIONS, input="oil leak"
        )
    return said.output_text


@pytest.mark.skipif(sys.platform == "win32", reason="signals end a process there")
def test_command_line(foreground, tmp_path):
    first = foreground()
    assert set(first.settings) == {"OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"}
    key, url = first.settings["OPENAI_API_KEY"], first.settings["OPENAI_BASE_URL"]
    assert classify(first.settings) == "hydraulic"
    seconds = time.monotonic() - first.begun
    used = sum(psutil.Process(first.process.pid).cpu_times()[:2])
    assert used < 5, used  # not the clock: others may use this machine as well
    port = url.removesuffix("/v1").rpartition(":")[2]
    assert first.end(signal.SIGTERM) == (0, "Stopped.\n", "")

    second = foreground("--port", port)  # at once on the same port
    assert set(second.settings) == {"OPENAI_BASE_URL", "OPENAI_MODEL"}
    assert second.settings["OPENAI_BASE_URL"] == url and key not in second.printed
    assert classify(first.settings) == "hydraulic"
    other = foreground("--port", port, "--line", "line-2")
    code, out, err = other.end()
    assert (code, out) == (1, "") and "Traceback" not in err
    assert f"Port {port} cannot be used" in err and "choose another" in err
    second.process.kill()  # without any goodbye
    second.process.communicate()

    third = foreground("--port", port, "--line", "line-2")
    assert third.settings["OPENAI_API_KEY"] != key  # first shown now, and so it works
    assert classify(first.settings) == classify(third.settings) == "hydraulic"
    assert third.end(signal.SIGINT) == (0, "Stopped.\n", "")
    saved = (tmp_path / "service_keys.json").read_text()
    noted = (tmp_path / "service_audit.jsonl").read_text()
    for one in key, third.settings["OPENAI_API_KEY"]:
        assert one not in saved + noted + first.printed + third.printed
    assert "oil leak" not in noted and len(noted.splitlines()) == 4
    assert (tmp_path / "service_keys.json").stat().st_mode & 0o077 == 0
    print(f"ready and answered after {seconds:.2f} s, {used:.2f} s of them computing")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
def test_memory_of_the_service(foreground):
    running = foreground("--burst", "1000")
    url, key = running.settings["OPENAI_BASE_URL"], running.settings["OPENAI_API_KEY"]
    body = {"model": NAME, "instructions": INSTRUCTIONS}
    with httpx2.Client(headers={"authorization": f"Bearer {key}"}) as client:
        for number in range(200):
            body["input"] = f"oil leak {number}"
            assert client.post(f"{url}/responses", json=body).status_code == 200
    used = psutil.Process(running.process.pid).memory_info().rss / 1e6
    print(f"{used:.0f} MB after 200 requests")
    assert used < 300


def test_damaged_keys_and_a_state_that_is_no_folder(foreground, tmp_path):
    path = tmp_path / "service_keys.json"
    for damaged in "", "[1]", "null", "half a fi":
        path.write_text(damaged)
        with pytest.raises(CourseError, match="cannot be read .*Delete it"):
            load_keys(path, "line-1", 60, 5)
    code, out, err = foreground().end()
    assert (code, out) == (1, "") and "Traceback" not in err
    assert f"{path} cannot be read" in err and "Delete it" in err
    code, out, err = foreground(state=path).end()
    assert (code, out) == (1, "") and "Traceback" not in err and str(path) in err


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
    with Service(server, Models(), None, gate.Audit(None), _bind(0), "") as other:
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


def test_a_proxy_never_sees_what_goes_to_this_machine(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    found = hosted.connect()
    assert [model.id for model in found.client.models.list()] == [NAME, GPT]


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
