"""Many clients of one server, and servers measured in turn: for the benchmarks."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

CLIENTS = 32


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


async def load(address, path, key, bodies) -> tuple[float, list]:
    """Let 32 clients share the requests; return seconds for all, and each result."""
    requests = []
    for number, body in enumerate(bodies):
        body = json.dumps(body).encode()
        lines = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append((number, lines.encode() + body))
    shared, results = iter(requests), {}
    start = time.perf_counter()
    clients = (one_client(address, shared, results) for _ in range(CLIENTS))
    await asyncio.gather(*clients)
    return time.perf_counter() - start, [results[n] for n in range(len(bodies))]


class Measured:
    """One server: its address, the processes to pause, and what was measured."""

    def __init__(self, url: str, pid: int, said: Callable, key="", group=False):
        """Measure the server at a URL, path included; said reads its JSON answer."""
        parts = urlsplit(url)
        self.address, self.path = (parts.hostname, parts.port), parts.path
        self.pid, self.said, self.key = pid, said, key
        self.send = os.killpg if group else os.kill
        self.rounds = []  # orders a second, and p50 and p99 in ms

    def round(self, bodies: Sequence, expected: Sequence) -> None:
        """Measure one round, while the other servers are paused."""
        self.send(self.pid, signal.SIGCONT)
        asyncio.run(load(self.address, self.path, self.key, bodies[:64]))
        took, results = asyncio.run(load(self.address, self.path, self.key, bodies))
        self.send(self.pid, signal.SIGSTOP)
        for (_, head, content), right in zip(results, expected):
            assert b" 200 " in head[:15], (head, content)
            assert self.said(json.loads(content)) == right
        seconds = [seconds for seconds, _, _ in results]
        rate = len(bodies) / took
        self.rounds.append((rate, *(np.percentile(seconds, (50, 99)) * 1e3)))

    def typical(self) -> tuple[float, float, float]:
        """Medians over the rounds: orders a second, and p50 and p99 in ms."""
        return tuple(np.median(self.rounds, axis=0).tolist())


def ratio(one: Measured, other: Measured, figure: int = 0) -> float:
    """One server's figure to the other's in the same round: the median of the rounds.

    Args:
        one: was measured in the same rounds as the other.
        other: the one to compare with.
        figure: 0 for orders a second, 1 and 2 for p50 and p99 of the waiting time.

    """
    pairs = zip(one.rounds, other.rounds)
    return float(np.median([mine[figure] / its[figure] for mine, its in pairs]))


def measure(servers: dict[str, Measured], bodies, expected, rounds: int) -> None:
    """Measure all in turn, in short rounds, and print a table of typical figures."""
    try:
        for server in servers.values():
            server.round(bodies[:64], expected[:64])
            server.rounds.clear()
        for number in range(rounds):  # there and back: what drifts meets both alike
            turn = list(servers.values())[:: 1 if number % 2 else -1]
            for server in turn:
                server.round(bodies, expected)
    finally:
        for server in servers.values():
            server.send(server.pid, signal.SIGCONT)  # a paused one cannot end itself
    print(f"\n{CLIENTS} clients, {rounds} rounds of {len(bodies)} orders")
    print(f"{'':34}{'orders/s':>9}  {'p50':>9}  {'p99':>9}")
    for name, server in servers.items():
        rate, p50, p99 = server.typical()
        print(f"{name:34}{rate:9.0f}  {p50:6.1f} ms  {p99:6.1f} ms")


@contextmanager
def script(name: str, path: str, said: Callable, *options: str, key="") -> Iterator:
    """A server script of this folder, in a session of its own: it may have children."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = Path(__file__).with_name(name)
    command = [sys.executable, str(file), "--port", str(port), *options]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        patience = time.monotonic() + 300
        while time.monotonic() < patience and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise RuntimeError(f"{name} does not answer; exit code {process.poll()}")
        url = f"http://127.0.0.1:{port}{path}"
        yield Measured(url, process.pid, said, key, group=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
