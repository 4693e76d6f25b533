"""Speed of the local service: its overhead, and its throughput next to LitServe.

pytest tests/benchmarks/test_service_speed.py -s; the comparison also needs
pip install -r tests/benchmarks/requirements.txt. Everything is measured side by side in
one run, in short rounds that alternate, and each server is a process of its own. Two
ways are compared within a round, and the median of these ratios is asserted, with room
for a busy machine.
"""

import http.client
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Literal
from urllib.parse import urlsplit

import numpy as np
import pytest
from many_clients import Measured, measure, ratio, script
from pydantic import BaseModel
from service_process import service_process

from helpers import CREWS, load_orders
from helpers.hosted import local_client
from helpers.promptable import NAME, load_promptable
from helpers.service.backends.prompted import answer
from helpers.service.requests import ChatRequest

KEY = "plant-benchmark"
ROUNDS, REQUESTS = 9, 320
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


CHAT = "/v1/chat/completions"


def said(answer: dict) -> str:
    return answer["choices"][0]["message"]["content"]


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


def http_call(base_url: str) -> Callable[[str], bytes]:
    """The same request without the openai package, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    def call(text: str) -> bytes:
        body = json.dumps(request(text))
        connection.request("POST", "/v1/chat/completions", body, headers)
        return connection.getresponse().read()

    return call


def test_keys_limits_and_log_cost_little_beside_plain_fastapi(texts):
    """The unchanged client asks our service and plain FastAPI for the same answers."""
    model = load_promptable()
    plain = script("promptable_server.py", CHAT, said)
    with service_process(KEY) as ours, plain as bare:
        bare_url = "http://{}:{}/v1".format(*bare.address)
        with ours.client() as client, local_client(bare_url, KEY) as other:
            prompt = {"model": NAME, "instructions": PROMPT, "text_format": Routing}
            ways = {
                "the model alone": lambda text: answer(
                    model, ChatRequest.model_validate(request(text)).as_prompt()
                ),
                "plain FastAPI, HTTP": http_call(bare_url),
                "our service, HTTP": http_call(ours.base_url),
                "plain FastAPI, openai client": lambda text: (
                    other.chat.completions.create(**request(text))
                ),
                "our service, openai client": lambda text: (
                    client.chat.completions.create(**request(text))
                ),
                "our service, responses.parse": lambda text: client.responses.parse(
                    **prompt, input=text
                ),
            }
            right = ways["the model alone"](texts[0]).text
            assert said(json.loads(ways["plain FastAPI, HTTP"](texts[0]))) == right
            assert said(json.loads(ways["our service, HTTP"](texts[0]))) == right
            rounds = [
                {name: median_ms(call, texts[:40]) for name, call in ways.items()}
                for _ in range(1 + 2 * ROUNDS)
            ][1:]
    print()
    for name in ways:
        print(f"  {name:30} {np.median([took[name] for took in rounds]):6.2f} ms")
    one, other = "our service, openai client", "plain FastAPI, openai client"
    cost = float(np.median([took[one] / took[other] for took in rounds]))
    print(f"ours to plain FastAPI, for the openai client: {cost:.2f}")
    assert cost <= 1.5


# --- throughput with many clients


def measured(service) -> Measured:
    url = service.base_url.removesuffix("/v1") + CHAT
    return Measured(url, service.pid, said, KEY)


def test_throughput_is_no_worse_than_litserve(texts):
    if sys.platform == "win32":
        pytest.skip("pausing a server needs POSIX signals")
    if find_spec("litserve") is None:
        pytest.skip("pip install -r tests/benchmarks/requirements.txt")
    model = load_promptable()
    expected = [
        answer(model, ChatRequest.model_validate(request(text)).as_prompt()).text
        for text in texts
    ]
    bodies = [request(text) for text in texts]
    with ExitStack() as stack:
        start = stack.enter_context
        ours = start(service_process(KEY))
        servers = {"ours": measured(ours)}
        if find_spec("uvloop"):
            servers["ours with uvloop"] = measured(start(service_process(KEY, UVLOOP)))
        for name, options in {
            "LitServe": (),
            "LitServe, fast queue": ("--fast-queue",),
            "LitServe, batches of 32": ("--batch", "32"),
            "LitServe, batches, fast queue": ("--batch", "32", "--fast-queue"),
        }.items():
            servers[name] = start(script("litserve_server.py", CHAT, said, *options))
        measure(servers, bodies, expected, ROUNDS)
    others = [server for name, server in servers.items() if "LitServe" in name]
    rates = [ratio(servers["ours"], other) for other in others]
    p99s = [ratio(other, servers["ours"], 2) for other in others]
    print(f"ours to the best LitServe: orders/s {min(rates):.2f}, p99 {min(p99s):.2f}")
    # beside other work, a server of several processes gets several shares of the cores
    assert min(rates) >= 0.6 and min(p99s) >= 0.6
