"""What clients see over a long time and when things go wrong; counted, not asserted.

python tests/stress/endurance.py [--requests 100000] [--rate 330]

1. Many requests at a steady rate against a registered model that is exchanged for
   another version in the middle: lost requests, memory, open files.
2. A service process that is killed under load and started again at the same port.
3. Ten times more arrivals than the model can answer.
4. SIGTERM under load.

The clients are threads with the openai package in part 2, and elsewhere aiohttp in a
process of its own. tests/stress/test_endurance.py runs parts 1, 3 and 4 in small.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter

import aiohttp
import numpy as np
import openai
import psutil

from helpers import load_orders, load_router
from helpers.hosted import local_client, local_get
from helpers.service import start
from helpers.service.backends.batching import Batcher
from helpers.service.backends.classifier import Classifier
from helpers.service.keys import Keys
from helpers.service.process import ServiceProcess


async def arrivals(
    url: str, key: str, model: str, rate: float, number: int, seed: int, fault: str = ""
):
    """Send requests at random moments, whatever became of the earlier ones.

    Returns:
        (outcome, label, seconds, begun) of each: the status or the name of the
        exception, the answer, how long it took, and the time when it was sent.

    """
    texts = load_orders()["text"].tolist()
    due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, number))
    waiting, results = set(), []
    headers = {"Authorization": f"Bearer {key}"}
    headers |= {"x-teach-fault": fault} if fault else {}
    timeout = aiohttp.ClientTimeout(120)
    connector = aiohttp.TCPConnector(limit=0)

    async def one(text: str, began: float) -> None:
        label, begun = "", time.time()  # the same clock in all processes
        try:
            body = {"model": model, "input": text}
            async with session.post(f"{url}/responses", json=body) as answer:
                said = await answer.json()
                outcome = str(answer.status)
                if answer.status == 200:
                    label = said["output"][0]["content"][0]["text"]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            outcome = type(error).__name__
        results.append((outcome, label, time.perf_counter() - began, begun))

    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, connector=connector
    ) as session:
        start_time = time.perf_counter()
        for n, moment in enumerate(due):
            if (pause := start_time + moment - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            task = asyncio.create_task(one(texts[n % len(texts)], time.perf_counter()))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        while waiting:
            await asyncio.sleep(0.02)
    return results


def _run(*arguments) -> list:
    return asyncio.run(arrivals(*arguments))


def in_background(pool, *arguments):
    """The arrivals of another process; .get() gives the results."""
    return pool.apply_async(_run, arguments)


def summary(results) -> dict:
    """Counts of outcomes, and percentiles of the answered in ms."""
    seconds = [s for outcome, _, s, _ in results if outcome == "200"] or [np.nan]
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99)) * 1e3
    counts = dict(Counter(outcome for outcome, *_ in results))
    return (
        counts
        | {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
        | {"p99_ms": round(p99, 1)}
    )


def exchange(pool, requests: int, rate: float) -> dict:
    """Part 1: a version switch in the middle of many requests."""
    router = load_router("crew")
    check, predict = router.encode, router.probabilities
    labels = {v: [f"{v}:{label}" for label in router.labels] for v in ("v1", "v2")}
    me = psutil.Process()
    memory, files = [me.memory_info().rss / 1e6], [0]
    keys = Keys(10_000_000, 1_000_000)
    key = keys.new("load")
    with start(keys=keys) as service:
        models = {v: Classifier(v, predict, labels[v], check=check) for v in labels}
        service.models.add(models["v1"])
        service.models.set_alias("crew", "v1")
        pool.apply(_run, (service.base_url, key, "crew", 200, 400, 1))
        load = in_background(pool, service.base_url, key, "crew", rate, requests, 0)
        began, switched = time.perf_counter(), None
        while not load.ready():
            load.wait(max(0.2, requests / rate / 60))
            memory.append(me.memory_info().rss / 1e6)
            files.append(me.num_fds() if hasattr(me, "num_fds") else 0)
            if switched is None and time.perf_counter() - began > requests / rate / 2:
                service.models.add(models["v2"])
                service.models.set_alias("crew", "v2")
                service.models.remove("v1")
                switched = time.perf_counter() - began
        memory.pop()  # the last one may hold the results already
        files.pop()
        results = load.get()
    assert switched, "the load ended before the switch"
    quarter = len(memory) // 4
    versions = Counter(label.partition(":")[0] for _, label, *_ in results if label)
    return {
        "requests": len(results),
        "minutes": round((time.perf_counter() - began) / 60, 2),
        "lost": sum(outcome != "200" for outcome, *_ in results),
        "switched_after_s": round(switched, 1),
        "abstained": versions.pop("unsure", 0),
        "answered_by": dict(versions),
        "memory_mb": [round(x, 1) for x in (memory[quarter], max(memory), memory[-1])],
        "open_files": [files[quarter], max(files), files[-1]],
        **summary(results),
    }


def killed(requests: int = 600, retries: int = 8) -> dict:
    """Part 2: half of the openai clients retry, half do not; kill -9 in the middle."""
    texts = load_orders()["text"].tolist()
    first = ServiceProcess("--router", "crew")
    outcomes, lock, middle = Counter(), threading.Lock(), threading.Event()

    def client(number: int) -> None:
        tries = retries * (number % 2)
        url, key = first.base_url, first.key
        with local_client(url, key, max_retries=tries) as asking:
            for n in range(requests // 8):
                try:
                    asking.responses.create(model="crew-lstm", input=texts[n])
                    outcome = "answered"
                except openai.OpenAIError as error:
                    outcome = type(error).__name__
                    time.sleep(0.02)
                with lock:
                    who = f"{'with' if tries else 'without'} retries"
                    outcomes[who, outcome] += 1
                    if sum(outcomes.values()) > requests / 3:
                        middle.set()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    assert middle.wait(300), "the clients did not get to the middle"
    first.kill()
    began = time.perf_counter()
    with ServiceProcess("--router", "crew", port=first.port, key=first.key):
        back = time.perf_counter() - began
        for thread in threads:
            thread.join()
    said = {f"{who}: {outcome}": n for (who, outcome), n in sorted(outcomes.items())}
    return {"back_after_s": round(back, 1), **said}


def overloaded(pool, seconds: float = 10.0, rate: float = 1000) -> dict:
    """Part 3: a model that can answer 100 orders a second (simulated) gets 1,000."""
    router = load_router("crew")

    def slow(texts):
        time.sleep(0.01 * len(texts))
        return router.probabilities(texts)

    keys = Keys(10_000_000, 1_000_000)
    key = keys.new("load")
    with start(keys=keys) as service:
        batcher = Batcher(slow, size=4, queue=20)
        service.models.add(Classifier("slow", slow, router.labels, batcher=batcher))
        place = service.base_url, key, "slow"
        results = pool.apply(_run, (*place, rate, round(rate * seconds), 0))
        refused = [s for outcome, _, s, _ in results if outcome == "503"]
        time.sleep(0.5)
        after = pool.apply(_run, (*place, 20, 20, 0))
    return {
        "requests": len(results),
        **summary(results),
        "refused_p99_ms": round(float(np.percentile(refused, 99)) * 1e3, 1),
        "afterwards": dict(Counter(outcome for outcome, *_ in after)),
    }


def count_of(url: str, name: str) -> float:
    """The sum of a metric over all its labels, as /metrics shows it."""
    page = local_get(url.removesuffix("/v1") + "/metrics").text.splitlines()
    rows = [line for line in page if line.startswith((f"{name} ", f"{name}{{"))]
    return sum(float(row.rsplit(" ", 1)[1]) for row in rows if "/metrics" not in row)


def stopped(pool, number: int = 200, rate: float = 200) -> dict:
    """Part 4: SIGTERM while requests arrive; a teaching fault makes each take 2 s.

    As soon as the service has received the first `number` requests, it is asked to
    stop: all of them must be answered, however busy the machine is. What comes after
    that may be answered or refused, but not broken off.
    """
    process = ServiceProcess("--router", "crew", "--faults")
    place = process.base_url, process.key, "crew-lstm"
    pool.apply(_run, (*place, 100, 20, 1))  # the pool has imported all it needs
    before = count_of(process.base_url, "course_requests_total")
    load = in_background(pool, *place, rate, number, 0, "slow")
    received = 0.0
    while received < number:
        time.sleep(0.02)
        # itself is one of those in flight
        flying = count_of(process.base_url, "course_requests_in_flight") - 1
        received = flying + count_of(process.base_url, "course_requests_total") - before
    os.kill(process.pid, signal.SIGTERM)
    late = pool.apply(_run, (*place, rate, number // 2, 1, "slow"))
    signalled = time.time()
    code = process.stop()
    results = load.get()
    return {
        "exit_code": code,
        "stop_s": round(time.time() - signalled, 2),
        "in_flight": int(flying),
        "begun_before": dict(Counter(outcome for outcome, *_ in results)),
        "begun_after": dict(Counter(outcome for outcome, *_ in late)),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run all parts and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=330.0)
    options = parser.parse_args(arguments)
    parts = {
        "exchange": lambda: exchange(pool, options.requests, options.rate),
        "killed": killed,
        "overloaded": lambda: overloaded(pool),
        "stopped": lambda: stopped(pool),
    }
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name, part in parts.items():
            print(name, json.dumps(part(), indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
