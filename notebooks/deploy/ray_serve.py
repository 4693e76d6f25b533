"""The service of chapter 05 as a Ray Serve deployment: several processes, one address.

python ray_serve.py --folder FOLDER [--port N] [--replicas N]; Ctrl-C or SIGTERM ends
it. The folder holds service_keys.json, as `python -m helpers.service` writes it, and
the options mean the same as there.
"""

import argparse
import json
import os
import signal
import socket
import threading
from pathlib import Path

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would report how it is used
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # one machine: loopback only
os.environ["RAY_enable_metrics_collection"] = "0"  # noqa: SIM112  Ray's spelling

import psutil
import ray
from ray import serve

HOST = "127.0.0.1"


def stay_on_this_machine():
    """Run in each replica first: Ray 2.60 would open its port to the network.

    A workaround for a laptop, with a private function of Ray. On a server, a firewall
    does this.
    """
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server

    def on_loopback(server, address):
        return add_port(server, address.replace("[::]", HOST))

    replica.add_port_to_grpc_server = on_loopback


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


def need_not_wait():
    """Let Ray start on a busy machine too; else its node gives up after 15 seconds.

    A workaround as well, for Ray 2.60: the node waits for its agents to report their
    ports. So choose the ports beforehand, and leave out two processes of no use here.
    """
    from ray._private import parameter, services

    begin, start_raylet = parameter.RayParams.__init__, services.start_raylet
    agent = "dashboard_agent_listen_port"
    ports = (agent, "metrics_agent_port", "runtime_env_agent_port")
    known = {"no_monitor": True, "include_log_monitor": False}

    def with_ports(self, *arguments, **settings):
        chosen = {name: free_port() for name in (*ports, "metrics_export_port")}
        begin(self, *arguments, **settings | known | chosen)

    def reported(*arguments, **settings):
        node_id, session = arguments[2], arguments[11]
        Path(session, f"{agent}_{node_id}").write_text(str(settings[agent]))
        return start_raylet(*arguments, **settings)

    parameter.RayParams.__init__, services.start_raylet = with_ports, reported


def application(digests, per_minute, burst):
    """What each replica builds: the same application, with a model of its own."""
    from helpers.service.access_log import AccessLog
    from helpers.service.app import build_app
    from helpers.service.backends.classifier import classifier_of
    from helpers.service.backends.registry import Registry
    from helpers.service.keys import Keys
    from helpers.service.metrics import Metrics

    stay_on_this_machine()
    keys = Keys(per_minute, burst)
    for owner, digest in digests.items():
        keys.add(owner, digest)
    models = Registry(classifier_of("crew"))
    return build_app(models, keys, AccessLog(None), Metrics())


def main():
    """Serve until Ctrl-C, SIGTERM, or the end of the parent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--per-minute", type=int, default=6000, metavar="N")
    parser.add_argument("--burst", type=int, default=600, metavar="N")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--parent", type=int, help="end when this process is gone")
    options = parser.parse_args()
    keys_file = options.folder / "service_keys.json"
    if not keys_file.is_file():
        parser.error(f"there is no file {keys_file}; the service command writes one")
    digests = json.loads(keys_file.read_text(encoding="utf-8"))
    limits = options.per_minute, options.burst
    port = options.port or free_port()
    need_not_wait()
    parent = psutil.Process(options.parent) if options.parent else None

    @serve.deployment(
        num_replicas=options.replicas,
        max_ongoing_requests=100,  # of one replica; more wait at the proxy, but at most
        max_queued_requests=200,  # so many: Ray's default would be an endless queue
        ray_actor_options={"num_cpus": 0.5},
    )
    @serve.ingress(lambda: application(digests, *limits))
    class Plant:
        """The deployment: Ray starts it `replicas` times."""

    ray.init(
        address="local",  # a cluster of its own, even if another runs here
        num_cpus=max(2, options.replicas),  # what Ray may plan with, not what there is
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        serve.start(
            http_options={"host": HOST, "port": port},
            logging_config={"log_level": "WARNING"},
        )
        serve.run(Plant.bind())
        stopped = threading.Event()  # Ray has handlers of its own: replace them
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stopped.set())
        print(
            f"{options.replicas} replicas on http://{HOST}:{port}/v1",
            flush=True,
        )
        while not stopped.wait(0.2):
            if parent and not parent.is_running():
                break
        serve.shutdown()
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
