"""Run the service in the foreground: python -m helpers.service [--port N]."""

import argparse
import contextlib
import gc
import logging
import math
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil

from helpers.data import STATE
from helpers.errors import CourseError
from helpers.promptable import NAME
from helpers.service import Service, key_files, start
from helpers.service.access_log import PREFIX
from helpers.service.backends.classifier import classifier_of, plant_classifier
from helpers.service.tls import Tls

ZOMBIE = psutil.STATUS_ZOMBIE
STOP_SECONDS = 10.0  # for what is in flight; 7 s more at most until it has ended


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser("python -m helpers.service", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--owner", default="line-1", help="who gets a key; others keep theirs")
    add("--per-minute", type=int, default=6000, metavar="N")
    add("--burst", type=int, default=600, metavar="N")
    help_ = "also serve the network of chapter 02, as crew-lstm, with crew as alias"
    add("--router", action="append", default=[], choices=["crew"], help=help_)
    help_ = "also serve the model of chapter 14 in this folder, under the folder's name"
    add("--model", type=Path, action="append", default=[], metavar="DIR", help=help_)
    help_ = "where the hashes of the keys and the access log are kept"
    add("--folder", type=Path, default=STATE, help=help_)
    add("--parent", type=int, metavar="PID", help="end when this process is gone")
    help_ = "how long /ready says no before it stops, for a load balancer to see it"
    add("--drain", type=not_negative, default=0.0, metavar="SECONDS", help=help_)
    help_ = "HTTPS with this certificate and its private key (PEM)"
    add("--tls", type=Path, nargs=2, metavar=("CERTIFICATE", "KEY"), help=help_)
    help_ = "let in only clients with a certificate of this authority (PEM)"
    add("--clients", type=Path, metavar="AUTHORITY", help=help_)
    help_ = "/metrics needs a key whose role may read it (see helpers/service/keys.py)"
    add("--private-metrics", action="store_true", help=help_)
    add("--faults", action="store_true", help="allow teaching faults")
    return parser


def not_negative(text: str) -> float:
    """A number of seconds, 0 or more.

    Raises:
        ArgumentTypeError: anything else, inf and nan as well.

    """
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")


def hand_over(folder: Path, owner: str, key: str) -> list[str]:
    """Save the hash of an owner's new key, if there is one; what to say about it."""
    keys_file = folder / key_files.NAME
    if not key:
        return [
            f"  OPENAI_API_KEY: the key that {owner} got the first time",
            f"  (lost it? Take {owner} out of {keys_file}, and restart)",
        ]
    if sys.stdout.isatty():
        lines = [export("OPENAI_API_KEY", key)]
        lines.append(f"\nThis key of {owner} is shown once; only its hash is kept.")
    else:  # what is printed goes to some log, and stays there
        path = key_files.write_key(folder, owner, key)
        lines = [f"  OPENAI_API_KEY: it is in {path}"]
        lines.append("  (hand it over and delete that file; only its hash is kept)")
    key_files.save_key(keys_file, owner, key)
    return lines


def export(name: str, value: str) -> str:
    """The command that sets an environment variable here."""
    windows = sys.platform == "win32"
    return f"  $env:{name}='{value}'" if windows else f"  export {name}='{value}'"


def serve(service: Service, drain: float, parent: int | None) -> bool:
    """Wait for SIGTERM, Ctrl-C or the end of the parent, and stop; whether asked to."""
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    # Who leaves without a goodbye is no news; with TLS asyncio would warn of it.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    gc.collect()
    gc.freeze()  # else the libraries are searched for garbage: pauses of 100 ms
    with contextlib.suppress(psutil.NoSuchProcess):  # the parent is gone: stop as well
        watched = psutil.Process(parent) if parent else None
        while not stopped.wait(0.2) and service.running:
            # is_running() also sees another process that has got its number
            if watched and not (watched.is_running() and watched.status() != ZOMBIE):
                break
    asked = service.running
    service.drain()
    time.sleep(drain)
    service.stop(STOP_SECONDS)
    return asked


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code."""
    options = parser().parse_args(arguments)
    folder, owner = options.folder, options.owner
    limits = options.per_minute, options.burst
    try:
        keys, key = key_files.load_keys(folder / key_files.NAME, owner, *limits)
        more = [classifier_of(name) for name in options.router]
        more += [plant_classifier(path) for path in options.model]
        keys.private_metrics = options.private_metrics
        tls = Tls(*options.tls, options.clients) if options.tls else None
        if options.clients and not tls:
            raise CourseError("--clients needs --tls CERTIFICATE KEY.")
        own = {"keys": keys, "log_folder": folder, "tls": tls}
        with start(options.port, **own, more=more, faults=options.faults) as service:
            for name in options.router:
                service.models.set_alias(name, f"{name}-lstm")
            about_key = hand_over(folder, owner, key)
            print(f"Model service on {service.base_url} (Ctrl-C stops it)")
            print(f"Access log, without texts: {folder / PREFIX}*.jsonl")
            print("\nFor the notebooks, in another terminal, before `jupyter lab`:")
            print(export("OPENAI_BASE_URL", service.base_url))
            print(export("OPENAI_MODEL", NAME))
            print(*about_key, sep="\n", flush=True)
            asked = serve(service, options.drain, options.parent)
    except KeyboardInterrupt:  # while the models were loaded
        return 130
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error}. {folder} must be a folder you can write to.", file=sys.stderr)
        return 1
    print("Stopped." if asked else "The service ended by itself.")
    return 0 if asked else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a model that hangs in its thread must not keep the process
