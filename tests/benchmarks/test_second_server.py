"""A server that is not ours, tests/stress/second_server.py, as chapter 04 meets it."""

import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil
import pytest
from pydantic import BaseModel

import helpers

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="it needs sessions"),
    pytest.mark.skipif(
        find_spec("litserve") is None,
        reason="pip install -r tests/benchmarks/requirements.txt",
    ),
]
SCRIPT = Path(__file__).parents[1] / "stress" / "second_server.py"
PROMPT = "Which crew?\n- electrical: lights, wiring\n- hydraulic: oil leak, hose"


class Routing(BaseModel):
    crew: Literal["electrical", "hydraulic"]
    electrician: Literal["yes", "no", "unsure"]
    confidence: float


@pytest.fixture(scope="module")
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def server(port):
    process = subprocess.Popen([sys.executable, str(SCRIPT), "--port", str(port)])
    patience = time.monotonic() + 300
    while time.monotonic() < patience:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    yield process
    process.terminate()
    process.wait(120)


@pytest.fixture
def hosted(server, port, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_MODEL", "second")
    return helpers.connect()


def messages(text):
    return [{"role": "system", "content": PROMPT}, {"role": "user", "content": text}]


def test_connect_finds_chat_completions_only(hosted):
    assert (hosted.api, hosted.model) == ("chat", "second")


def test_structured_output(hosted):
    said = hosted.client.chat.completions.parse(
        model=hosted.model, messages=messages("hyd hose blown"), response_format=Routing
    )
    assert said.choices[0].message.parsed.crew == "hydraulic"
    assert 1 / 3 <= said.choices[0].message.parsed.confidence <= 1
    assert said.usage.total_tokens > said.usage.completion_tokens > 0


def test_stream_without_a_schema(hosted):
    stream = hosted.client.chat.completions.create(
        model=hosted.model, messages=messages("lights u/s"), stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(pieces) == "electrical"


def test_no_process_is_left_when_it_stops(hosted, server):
    children = psutil.Process(server.pid).children(recursive=True)
    assert len(children) > 2
    server.terminate()
    assert server.wait(120) == 0
    assert not psutil.wait_procs(children, timeout=120)[1]
