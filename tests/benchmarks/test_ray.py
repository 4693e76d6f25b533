"""The Ray Serve script of chapter 05: who can reach it, and what it leaves behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import openai
import psutil
import pytest

from helpers.hosted import local_client
from helpers.service.keys import Keys

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


def test_ray_serve_answers_on_this_machine_only_and_leaves_nothing(tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"line-3": Keys.digest("plant-ray")}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = [sys.executable, str(SCRIPT), "--keys", str(keys)]
    process = subprocess.Popen(
        [*script, "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ELSEWHERE,
    )
    try:
        assert "2 replicas on" in process.stdout.readline()
        url = f"http://127.0.0.1:{port}/v1"
        client = local_client(url, "plant-ray")
        said = client.responses.create(model="crew-lstm", input="two lights u/s")
        assert said.output_text == "electrical"
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
        family = psutil.Process(process.pid)
        children = family.children(recursive=True)
        assert len(children) > 4
        found = {ip.removeprefix("::ffff:") for ip in listeners(family)}
        assert found <= {"127.0.0.1", "::1"}, found
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
        assert not psutil.wait_procs(children, timeout=120)[1]
    finally:
        process.kill()
        process.wait()
