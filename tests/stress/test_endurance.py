"""tests/stress/endurance.py in small: its counts add up, and nothing is lost."""

import json
import multiprocessing
import sys

import endurance
import pytest

# A connection kept from before the stop, which the service has closed in between.
BROKEN_PIPE = {"ServerDisconnectedError"}


@pytest.fixture(scope="module")
def pool():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


def test_a_version_switch_loses_nothing(pool):
    counted = endurance.exchange(pool, requests=500, rate=150)
    print(json.dumps(counted))
    assert counted["requests"] == counted["200"] == 500 and counted["lost"] == 0
    assert min(counted["answered_by"][version] for version in ("v1", "v2")) > 0
    assert sum(counted["answered_by"].values()) + counted["abstained"] == 500


def test_overload_is_refused_and_the_rest_is_answered(pool):
    counted = endurance.overloaded(pool, seconds=1.5, rate=400)
    print(json.dumps(counted))
    assert counted["200"] + counted["503"] == counted["requests"] == 600
    assert counted["503"] > 0 and counted["200"] > 0
    assert counted["afterwards"] == {"200": 20}


@pytest.mark.skipif(sys.platform == "win32", reason="there terminate() kills")
def test_a_stop_under_load_breaks_off_no_answer(pool):
    counted = endurance.stopped(pool, number=100, rate=100)
    print(json.dumps(counted))
    assert counted["exit_code"] == 0 and counted["in_flight"] > 0
    assert counted["begun_before"] == {"200": 100}
    late = set(counted["begun_after"])
    assert late - {"200"} <= {"ClientConnectorError", "ClientOSError", *BROKEN_PIPE}


@pytest.mark.skipif(sys.platform == "win32", reason="there terminate() kills")
def test_who_retries_survives_a_killed_service():
    counted = endurance.killed(requests=240, retries=30)
    print(json.dumps(counted))
    assert counted["with retries: answered"] == 120
    assert counted["without retries: APIConnectionError"] > 0
