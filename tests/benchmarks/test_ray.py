"""The Ray Serve script of chapter 05: who can reach it, and what it leaves behind."""

import sys
from pathlib import Path

import openai
import psutil
import pytest

from helpers.service.process import ServiceProcess

SCRIPT = Path(__file__).parents[2] / "notebooks" / "deploy" / "ray_serve.py"
ELSEWHERE = {  # of the machine: none of it is to be asked
    "RAY_ADDRESS": "127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads all sockets")


def listeners(process):
    """Addresses at which a process and its children listen."""
    for one in [process, *process.children(recursive=True)]:
        for connection in one.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip


def test_ray_serve_answers_on_this_machine_only_and_leaves_nothing(monkeypatch):
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    with ServiceProcess(run=[SCRIPT]) as process:
        client = process.client()
        answer = client.responses.create(model="crew-lstm", input="two lights u/s")
        assert answer.output_text == "electrical"
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
        family = psutil.Process(process.pid)
        children = family.children(recursive=True)
        assert len(children) > 4
        found = {ip.removeprefix("::ffff:") for ip in listeners(family)}
        assert found <= {"127.0.0.1", "::1"}, found
        assert process.stop(300) == 0
        assert not psutil.wait_procs(children, timeout=120)[1]
