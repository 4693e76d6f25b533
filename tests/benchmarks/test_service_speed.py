"""Speed of the local service: its overhead, and its throughput next to LitServe.

pytest tests/benchmarks/test_service_speed.py -s; the comparison also needs
pip install -r tests/benchmarks/requirements.txt. Everything is measured side by side in
one run, in rounds that alternate, and each server is a process of its own. The best
round counts, for every server alike: whatever else the machine does only adds time.
"""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import openai
import pytest
from pydantic import BaseModel
from service_process import service_process

from helpers import CREWS, load_orders
from helpers.promptable import NAME, load_promptable
from helpers.service.prompt import answer
from helpers.service.protocol import ChatRequest

KEY = "plant-benchmark"
CLIENTS, ROUNDS, REQUESTS = 32, 5, 640
UVLOOP = """
import uvicorn
Config = uvicorn.Config
uvicorn.Config = lambda app, **options: Config(app, **options | {"loop": "uvloop"})
"""


class Routing(BaseModel):
    crew: Literal[tuple(CREWS)]
    electrician: Literal["yes", "no", "unsure"]
    confidence: float


PROMPT = """Which crew does this work order go to, and does it need an electrician?
- cab_aircon: cab, seat, window, wiper, mirror, heater, air con
- electrical: lights, wiring, battery, alternator, switch, sensor, radio
- engine: engine, coolant, water pump, turbo, exhaust, fuel, fan belt
- hydraulic: oil leak, blown hose, pump, cylinder, valve, oil cooler
- lube: grease, auto lube system, grease line, grease pump, injector
- safety_access: ladder, handrail, steps, walkway, fire suppression
- structure_bucket: bucket, teeth, lip shroud, crack, weld, boom, stick, pin
- undercarriage_drive: track, roller, idler, sprocket, slew, travel motor
- yes: lights, wiring, battery, alternator, sensor, switch, radio
- no: oil, hose, bucket, track, weld, grease"""
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "Routing", "schema": Routing.model_json_schema()},
}


def request(text: str) -> dict:
    """One order as a chat completion."""
    messages = [
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": text},
    ]
    return {"model": NAME, "messages": messages, "response_format": FORMAT}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return load_orders()["text"].sample(REQUESTS, random_state=0).tolist()


# --- overhead of the service for one client


def median_ms(call: Callable[[str], object], texts: list[str]) -> float:
    times = []
    for text in texts:
        start = time.perf_counter()
        call(text)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e3


def plain_http(base_url: str) -> Callable[[str], bytes]:
    """The same request without the openai package, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    def call(text: str) -> bytes:
        body = json.dumps(request(text))
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().read()

    return call


def test_overhead_of_one_order_is_at_most_3_ms(texts):
    model = load_promptable()
    with (
        service_process(KEY) as service,
        openai.OpenAI(base_url=service.base_url, api_key=KEY) as client,
    ):
        said = {"model": NAME, "instructions": PROMPT, "text_format": Routing}
        ways = {
            "the model alone": lambda text: answer(
                model, ChatRequest.model_validate(request(text)).ask()
            ),
            "plain HTTP": plain_http(service.base_url),
            "responses.parse": lambda text: client.responses.parse(**said, input=text),
            "chat.completions.create": lambda text: client.chat.completions.create(
                **request(text)
            ),
        }
        first = ways["responses.parse"](texts[0]).output_parsed
        assert first == Routing.model_validate_json(
            ways["the model alone"](texts[0]).text
        )
        rounds = [
            {name: median_ms(call, texts[:100]) for name, call in ways.items()}
            for _ in range(1 + ROUNDS)
        ][1:]
    alone = [times.pop("the model alone") for times in rounds]
    print(f"\nthe model alone: {min(alone):.2f} ms; in addition to it:")
    over = {}
    for name in rounds[0]:
        over[name] = min(times[name] - a for times, a in zip(rounds, alone))
        print(f"  {name:24} {over[name]:5.2f} ms")
    assert over["chat.completions.create"] <= 3.0


# --- throughput with many clients


async def one_client(address, bodies, results):
    """Send requests one after the other on one connection; note seconds and answers."""
    reader, writer = await asyncio.open_connection(*address)
    for number, body in bodies:
        start = time.perf_counter()
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        content = await reader.readexactly(int(length))
        results[number] = (time.perf_counter() - start, head, content)
    writer.close()


async def load(address, texts) -> tuple[float, list]:
    """Let 32 clients share the texts; return seconds for all, and each result."""
    requests = []
    for number, text in enumerate(texts):
        body = json.dumps(request(text)).encode()
        lines = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append((number, lines.encode() + body))
    shared, results = iter(requests), {}
    start = time.perf_counter()
    clients = (one_client(address, shared, results) for _ in range(CLIENTS))
    await asyncio.gather(*clients)
    return time.perf_counter() - start, [results[n] for n in range(len(texts))]


class Measured:
    """One server: its address, the processes to pause, and what was measured."""

    def __init__(self, base_url: str, pid: int, group: bool = False):
        url = urlsplit(base_url)
        self.address, self.pid = (url.hostname, url.port), pid
        self.send = os.killpg if group else os.kill
        self.rounds = []  # orders a second, and p50 and p99 in ms

    def round(self, texts, expected) -> None:
        """Measure one round, while the other servers are paused."""
        self.send(self.pid, signal.SIGCONT)
        asyncio.run(load(self.address, texts[:64]))
        took, results = asyncio.run(load(self.address, texts))
        self.send(self.pid, signal.SIGSTOP)
        for (_, head, content), right in zip(results, expected):
            assert b" 200 " in head[:15], (head, content)
            assert json.loads(content)["choices"][0]["message"]["content"] == right
        seconds = [seconds for seconds, _, _ in results]
        self.rounds.append(
            (len(texts) / took, *(np.percentile(seconds, (50, 99)) * 1e3))
        )

    def best(self) -> tuple[float, float, float]:
        """The best orders a second, p50 and p99 of all rounds."""
        rates, p50, p99 = zip(*self.rounds)
        return max(rates), min(p50), min(p99)


@contextmanager
def litserve_process(*options: str) -> Iterator[Measured]:
    """LitServe in a session of its own: its children outlive a plain terminate()."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(__file__).with_name("litserve_server.py")
    command = [sys.executable, str(script), "--port", str(port), *options]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        patience = time.monotonic() + 60
        while time.monotonic() < patience and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Measured(f"http://127.0.0.1:{port}", process.pid, group=True)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_throughput_is_no_worse_than_litserve(texts):
    if sys.platform == "win32":
        pytest.skip("pausing a server needs POSIX signals")
    if find_spec("litserve") is None:
        pytest.skip("pip install -r tests/benchmarks/requirements.txt")
    model = load_promptable()
    expected = [
        answer(model, ChatRequest.model_validate(request(text)).ask()).text
        for text in texts
    ]
    with ExitStack() as stack:
        start = stack.enter_context
        ours = start(service_process(KEY))
        servers = {"ours": Measured(ours.base_url, ours.process.pid)}
        if find_spec("uvloop"):
            fast = start(service_process(KEY, UVLOOP))
            servers["ours with uvloop"] = Measured(fast.base_url, fast.process.pid)
        for name, options in {
            "LitServe": (),
            "LitServe, fast queue": ("--fast-queue",),
            "LitServe, batches of 32": ("--batch", "32"),
            "LitServe, batches, fast queue": ("--batch", "32", "--fast-queue"),
        }.items():
            servers[name] = start(litserve_process(*options))
        for server in servers.values():
            server.round(texts[:64], expected[:64])
            server.rounds.clear()
        for _ in range(ROUNDS):
            for server in servers.values():
                server.round(texts, expected)
    print(f"\n{CLIENTS} clients, {ROUNDS} rounds of {REQUESTS} orders")
    print(f"{'':30}{'orders/s':>9}  {'p50':>8}  {'p99':>8}")
    best = {name: server.best() for name, server in servers.items()}
    for name, (rate, p50, p99) in best.items():
        print(f"{name:30}{rate:9.0f}  {p50:5.1f} ms  {p99:5.1f} ms")
    rates, _, p99s = zip(*(best[name] for name in best if "LitServe" in name))
    assert best["ours"][0] >= max(rates)
    assert best["ours"][2] <= min(p99s)
