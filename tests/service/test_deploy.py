"""The service as it is deployed: as a process, under systemd, in a container."""

import configparser
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import openai
import psutil
import pytest
from service_process import RUN

from helpers import CourseError
from helpers.hosted import local_client, local_get
from helpers.service import __main__ as command
from helpers.service import key_files
from helpers.service.process import ServiceProcess

DEPLOY = Path(__file__).parents[2] / "notebooks" / "deploy"


def test_a_service_process_serves_the_network_drains_and_ends_cleanly():
    process = ServiceProcess("--router", "crew", "--drain", "5")
    with process:
        client = process.client(max_retries=0)
        for name in ("crew-lstm", "crew"):
            said = client.responses.create(model=name, input="two lights u/s")
            assert said.output_text == "electrical"
        ready = f"http://127.0.0.1:{process.port}/ready"
        assert local_get(ready).status_code == 200
        if sys.platform != "win32":  # there it cannot be asked, only killed
            os.kill(process.pid, signal.SIGTERM)
            while local_get(ready).status_code == 200:  # until the signal has arrived
                time.sleep(0.02)
            assert local_get(ready).status_code == 503
            said = client.responses.create(model="crew", input="two lights u/s")
            assert said.output_text == "electrical"
            assert process.stop() == 0
    assert not process.running and not process.folder.exists()
    with pytest.raises(openai.APIConnectionError):
        client.models.list()


def test_a_killed_service_comes_back_with_its_port_and_all_keys(tmp_path):
    path = tmp_path / key_files.NAME
    key_files.save_key(path, "line-7", "plant-seven")
    first = ServiceProcess("--router", "crew", folder=tmp_path)
    first.kill()
    options = {"port": first.port, "key": first.key, "folder": tmp_path}
    with ServiceProcess("--router", "crew", **options) as second:
        for key in first.key, "plant-seven":
            names = [
                model.id for model in local_client(first.base_url, key).models.list()
            ]
            assert "crew-lstm" in names
        with pytest.raises(CourseError, match=f"Port {second.port} cannot be used"):
            ServiceProcess(port=second.port)
    assert set(key_files.read_digests(path)) == {"line-1", "line-7"}
    with pytest.raises(CourseError, match="another key of line-1"):
        ServiceProcess(folder=tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_service_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "from helpers.service.process import ServiceProcess\n"
        "print(ServiceProcess().pid, flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    psutil.wait_procs([child], timeout=120)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("parent", ["ended", "another with its number", "gone before"])
def test_a_service_whose_parent_has_ended_stops(monkeypatch, parent):
    def process(pid):
        if parent == "gone before":
            raise psutil.NoSuchProcess(pid)
        status = "zombie" if parent == "ended" else "running"
        running = parent == "ended"
        return SimpleNamespace(is_running=lambda: running, status=lambda: status)

    called = []
    service = SimpleNamespace(running=True, drain=lambda: called.append("drain"))
    service.stop = lambda seconds: called.append("stop")
    monkeypatch.setattr(command.psutil, "Process", process)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(command.gc, "freeze", lambda: None)
    assert command.serve(service, drain=0, parent=4711)
    assert called == ["drain", "stop"]


PLANTED = """
import threading, time, uvicorn
from helpers.router import Router
def hang(self, texts): time.sleep({hang}); return probabilities(self, texts)
probabilities, Router.probabilities = Router.probabilities, hang
from helpers.service import Service
stop = Service.stop
Service.stop = lambda self, seconds=1: stop(self, 1)  # instead of ten
if {crash}:
    async def broken(self): raise RuntimeError("planted")
    uvicorn.Server.main_loop = broken
"""


def planted(tmp_path, hang=0, crash=False):
    run = ("-c", PLANTED.format(hang=hang, crash=crash) + RUN)
    return ServiceProcess("--router", "crew", run=run, folder=tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there terminate() kills")
def test_a_model_that_hangs_does_not_keep_the_process(tmp_path):
    process = planted(tmp_path, hang=3600)
    with process.client(max_retries=0, timeout=0.5) as client:
        with pytest.raises(openai.APITimeoutError):
            client.responses.create(model="crew", input="two lights u/s")
        assert process.stop(300) == 0  # by itself, not killed


def test_a_service_that_crashes_does_not_report_success(tmp_path):
    try:
        process = planted(tmp_path, crash=True)
    except CourseError:
        return  # it was gone before its address was read
    process._process.wait(120)
    assert process.kill() == 1
    assert "ended by itself" in process.said()


def test_a_key_that_cannot_be_handed_over_is_not_kept(tmp_path, capsys):
    (tmp_path / "line-1.key").mkdir()
    assert command.main(["--folder", str(tmp_path)]) == 1
    assert "must be a folder you can write to" in capsys.readouterr().err
    assert not (tmp_path / key_files.NAME).exists()


def options_of(words):
    """Arguments after "-m helpers.service", read by the command's own parser."""
    start = words.index("helpers.service")
    assert words[start - 1] == "-m"
    return command.parser().parse_args(words[start + 1 :])


def test_systemd_unit():
    text = (DEPLOY / "plant-router.service").read_text(encoding="utf-8")
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str
    unit.read_string(text)
    options = options_of(shlex.split(unit["Service"]["ExecStart"]))
    assert options.router == ["crew"] and not options.faults
    assert options.folder == Path("/var/lib", unit["Service"]["StateDirectory"])
    assert unit["Service"]["Restart"] == "always"
    assert unit["Service"]["KillSignal"] == "SIGTERM"


def test_container_file():
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    words = json.loads(re.search(r"^CMD (\[.+\])$", text, re.M)[1])
    options = options_of(words)
    assert options.router == ["crew"] and str(options.folder) in text
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8")
    assert {"data/*.key", "data/service_*"} <= set(ignored.split())
    health = json.loads(re.search(r"^  CMD (\[.+\])$", text, re.M)[1])
    assert f"127.0.0.1', {options.port}" in health[-1] and "/health" in health[-1]
    for module in re.findall(r'python -c "(.+?)"', text):
        compile(module, "Containerfile", "exec")
