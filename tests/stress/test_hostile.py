"""A small hostile run, and proof that it would notice; hostile.py runs 10,000."""

import http.client
import json
import socket
import time
from contextlib import suppress

import hostile
import pytest

from helpers.service import connection, start
from helpers.service.backends.prompted import MAX_LABEL
from helpers.service.backends.schema import MAX_FIELDS
from helpers.service.middleware import MAX_BODY

SICK = """
import os
from helpers.service import access_log, keys
from helpers.service.backends import prompted

kept = []
old_find, old_read = keys.Keys.find, prompted._read
old_note = access_log.AccessLog.note

def find(self, authorization):
    print(authorization, flush=True)
    return old_find(self, authorization)

def read(instructions):
    assert not instructions or "electrical" in instructions
    return old_read(instructions)

def note(self, entry):
    kept.append((bytes(500_000).replace(bytes(1), b"x"), open(os.devnull)))
    old_note(self, entry)

keys.Keys.find, prompted._read, access_log.AccessLog.note = find, read, note
"""


def test_nothing_hostile_harms_the_service():
    report = hostile.run(600, seed=0, patience=3.0)
    print(report.table(), *report.notes, sep="\n")
    assert not report.problems
    assert sum(map(len, report.outcomes.values())) == 600


def test_nothing_hostile_harms_it_with_tls_and_roles():
    report = hostile.run(400, seed=1, patience=3.0, secure=True)
    print(report.table(), *report.notes, sep="\n")
    assert not report.problems
    assert report.outcomes.keys() >= hostile.ONLY_TLS


def test_a_sick_service_is_found_out():
    found = "\n".join(hostile.run(150, 1, patience=3.0, planted=SICK).problems)
    assert ": 500: b" in found
    assert f"{hostile.SECRET} was written down" in found
    assert "memory grew by" in found and "connections stay open" in found


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (b"", "no answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", "half an answer"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", "502"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}", "not of OpenAI's shape"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
    ],
)
def test_answers_are_judged(received, problem):
    outcome = hostile.judge(hostile.Attack([]), received, False, 0.0)
    assert problem in outcome.problem and bool(problem) == bool(outcome.problem)


@pytest.fixture(scope="module")
def service():
    with start() as service:
        yield service


def exchange(service, *parts, pause=0.1):
    """Send parts until the service closes; what came back, and how many were sent."""
    sent, received = 0, b""
    with socket.create_connection(("127.0.0.1", service.port), 120) as client:
        with suppress(ConnectionError):
            for part in parts:
                client.sendall(part)
                sent += 1
                time.sleep(pause)
        with suppress(ConnectionError):
            while more := client.recv(65_536):
                received += more
    return received, sent


DRIP = [b"x"] * 1200  # two minutes of it
REFUSED = b"POST /v1/responses HTTP/1.1\r\nContent-Length: 99\r\n\r\n"
ANSWERED = b"GET /health HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([], b""),
        ([b"POST /v1/resp"], b""),
        ([b"GET / HTTP/1.1\r\nX: ", *DRIP], b""),
        ([REFUSED, *DRIP], b"HTTP/1.1 401"),
        ([ANSWERED, b"G"], b"HTTP/1.1 200"),
    ],
)
def test_slow_heads_are_broken_off(service, monkeypatch, parts, status):
    monkeypatch.setattr(connection, "PATIENCE", 0.5)
    received, sent = exchange(service, *parts)
    assert received.startswith(status) and bool(received) == bool(status)
    assert sent < len(DRIP), "it took the drips to the end"


def test_an_idle_connection_is_kept_for_its_next_request(service, monkeypatch):
    """Longer than clients keep theirs: else they send into a connection that closes."""
    monkeypatch.setattr(connection, "PATIENCE", 0.1)
    assert service._server.config.timeout_keep_alive == connection.KEEP_ALIVE >= 75
    client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
    client.connect()
    sock = client.sock
    for _ in range(3):
        client.request("GET", "/health")
        assert client.getresponse().read() and client.sock is sock
        time.sleep(0.5)
    monkeypatch.setattr(connection, "MAX_IDLE", 0)  # too many of them: none is kept
    assert sock.recv(1) == b""
    client.close()


def test_a_request_at_work_is_not_broken_off(monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 0.3)
    with start(faults=True) as service:
        key = f"Authorization: Bearer {service.key}\r\nX-Teach-Fault: slow\r\n"
        line = "GET /v1/models/workorder-promptable HTTP/1.1\r\nConnection: close\r\n"
        begun = time.monotonic()
        received, _ = exchange(service, f"{line}{key}\r\n".encode())
    assert received.startswith(b"HTTP/1.1 200") and time.monotonic() - begun > 2


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /health HTTP/1.1\r\nX: " + b"x" * 2_000_000,
        b"GET /" + b"x" * 2_000_000,
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 400_000,
    ],
)
def test_huge_heads_are_refused(service, sent):
    received, _ = exchange(service, sent)
    assert b"400" in received[:20] and b"too large" in received


@pytest.fixture
def ask(service):
    """Send a body on one connection; return the status and the error's message."""
    client = http.client.HTTPConnection("127.0.0.1", service.port)

    def call(request):
        sent = request if isinstance(request, bytes) else json.dumps(request).encode()
        headers = {"Content-Type": "application/json"}
        headers["Authorization"] = f"Bearer {service.key}"
        client.request("POST", "/v1/chat/completions", sent, headers)
        answer = client.getresponse()
        return answer.status, json.loads(answer.read()).get("error", {}).get("message")

    yield call
    client.close()


def with_enum(labels, fields=1):
    properties = {f"field{n}": {"enum": labels} for n in range(fields)}
    return hostile.chat("hose", {"properties": properties})


def test_a_schema_has_limits(ask):
    assert ask(with_enum(["a", "b" * MAX_LABEL], MAX_FIELDS)) == (200, None)
    status, message = ask(with_enum(["a", "b" * (MAX_LABEL + 1)]))
    assert status == 400 and f"more than {MAX_LABEL} characters" in message
    status, message = ask(with_enum(["a", "b"], MAX_FIELDS + 1))
    assert status == 400 and f"the limit is {MAX_FIELDS}" in message


@pytest.mark.parametrize("name", ["metadata", "stream_options", None])
def test_a_crowd_of_names_costs_little(ask, name):
    crowd = {f"name{number}": 1 for number in range(20_000)}
    request = hostile.chat("hose")
    request |= {name: crowd} if name else crowd
    status, message = ask(request)
    assert status == (200 if name else 400)
    assert name or message == "There is no parameter 'name0'. Leave it out."


def test_after_a_huge_body_the_connection_still_works(ask):
    for _ in range(2):
        assert ask(b"x" * (3 * MAX_BODY))[0] == 413
        assert ask(hostile.chat("hose"))[0] == 200


def test_answers_are_not_held_back(service, ask):
    """Nagle's algorithm would cost 40 ms an answer."""
    ask(hostile.chat("hose"))
    for one in service._server.server_state.connections:
        sock = one.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
