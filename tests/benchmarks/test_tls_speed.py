"""What TLS costs a request: on a connection that is kept, and on a new one.

python -m pytest -n 0 tests/benchmarks/test_tls_speed.py -s. Two services, each a
process of its own, with and without TLS; rounds alternate, the ratio is taken within a
round, and the median of the ratios is asserted, with room for a busy machine.
"""

import http.client
import json

import numpy as np
import pytest
from certificates import new_certificate

from helpers import load_router, median_seconds
from helpers.service import tls
from helpers.service.process import ServiceProcess

ROUNDS, REQUESTS = 9, 100
BODY = json.dumps({"model": "crew-lstm", "input": "Two pump room lights u/s"})


def request(connection, key):
    """One order on a connection."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/responses", BODY, headers)
    answer = connection.getresponse()
    assert answer.status == 200 and b"electrical" in answer.read()


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """A call on a kept connection and one on a new one, in clear and encrypted."""
    load_router("crew")
    own = new_certificate("127.0.0.1", tmp_path_factory.mktemp("tls"))
    trusted = tls.client_side(own.certificate)
    options = ["--tls", str(own.certificate), str(own.key)]
    with (
        ServiceProcess("--router", "crew") as clear,
        ServiceProcess("--router", "crew", *options) as encrypted,
    ):

        def connect(service):
            if service is clear:
                return http.client.HTTPConnection("127.0.0.1", service.port)
            address = "127.0.0.1", service.port
            return http.client.HTTPSConnection(*address, context=trusted)

        def new(service):
            connection = connect(service)
            request(connection, service.key)
            connection.close()

        kept = {service: connect(service) for service in (clear, encrypted)}
        yield {
            "kept": [lambda s=s: request(kept[s], s.key) for s in (clear, encrypted)],
            "new": [lambda s=s: new(s) for s in (clear, encrypted)],
        }
        for connection in kept.values():
            connection.close()


@pytest.mark.parametrize(("kind", "limit"), [("kept", 1.5), ("new", 6.0)])
def test_what_tls_costs(calls, kind, limit):
    rounds = [
        [median_seconds(call, REQUESTS) for call in calls[kind]] for _ in range(ROUNDS)
    ]
    clear, encrypted = np.median(rounds, axis=0) * 1e3
    ratios = [encrypted / clear for clear, encrypted in rounds]
    print(f"{kind} connection: {clear:.2f} ms in clear, {encrypted:.2f} ms with TLS")
    print(f"ratio {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    assert np.median(ratios) <= limit
