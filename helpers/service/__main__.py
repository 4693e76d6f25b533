"""Run the service in the foreground: python -m helpers.service [--port N]."""

import argparse
import gc
import json
import os
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from helpers.data import STATE
from helpers.errors import CourseError
from helpers.promptable import NAME
from helpers.service import Service, start
from helpers.service.classifier import classifier_of
from helpers.service.keys import Keys

KEYS_FILE = "service_keys.json"
STOP_SECONDS = 10.0  # for what is in flight; 7 s more at most until it has ended


def load_keys(path: Path, line: str, per_minute: int, burst: int) -> tuple[Keys, str]:
    """Keys from a file of digests; makes a key for the line if it has none.

    Returns:
        The keys, and the new key ("" if the line had one already). It is not saved.

    """
    keys = Keys(per_minute, burst)
    try:
        saved = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        for name, digest in saved.items():
            keys.add(name, str(digest))
    except (OSError, ValueError, AttributeError) as error:
        raise CourseError(
            f"{path} cannot be read ({error}). Delete it; then new keys are made."
        ) from error
    return keys, "" if line in saved else keys.new(line)


def save_key(path: Path, line: str, key: str) -> None:
    """Add the digest of a line's new key to the file."""
    saved = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    saved[line] = Keys.digest(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(saved, file)  # readable for its owner only
    os.replace(file.name, path)


def write_key(folder: Path, line: str, key: str) -> Path:
    """Write a new key to a file that only its owner can read."""
    path = folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', line)}.key"
    path.unlink(missing_ok=True)
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
    ) as f:
        f.write(key)
    return path


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser("python -m helpers.service", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--line", default="line-1", help="the line that gets a key; others keep theirs"
    )
    parser.add_argument("--per-minute", type=int, default=6000, metavar="N")
    parser.add_argument("--burst", type=int, default=600, metavar="N")
    parser.add_argument(
        "--router",
        action="append",
        default=[],
        choices=("crew", "electrician"),
        help="also serve this network of chapter 02, as NAME-lstm, with NAME as alias",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=STATE,
        help="where the hashes of the keys and the audit log are kept",
    )
    parser.add_argument(
        "--parent", type=int, metavar="PID", help="end when this process is gone"
    )
    parser.add_argument(
        "--drain",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long /ready says no before it stops, for a load balancer to see it",
    )
    parser.add_argument("--faults", action="store_true", help="allow teaching faults")
    return parser


def hand_over(folder: Path, line: str, key: str) -> list[str]:
    """Save the hash of a line's new key, if it is one; what to say about the key."""
    keys_file = folder / KEYS_FILE
    if not key:
        return [
            f"  OPENAI_API_KEY: the key that {line} got the first time",
            f"  (lost it? Take {line} out of {keys_file}, and restart)",
        ]
    if sys.stdout.isatty():
        said = [export("OPENAI_API_KEY", key)]
        said.append(f"\nThis key of {line} is shown once; only its hash is kept.")
    else:  # what is printed goes to some log, and stays there
        said = [f"  OPENAI_API_KEY: it is in {write_key(folder, line, key)}"]
        said.append("  (hand it over and delete that file; only its hash is kept)")
    save_key(keys_file, line, key)
    return said


def export(name: str, value: str) -> str:
    """The command that sets an environment variable here."""
    return ("  $env:{}='{}'" if sys.platform == "win32" else "  export {}='{}'").format(
        name, value
    )


def serve(service: Service, drain: float, parent: int | None) -> bool:
    """Wait for SIGTERM, Ctrl-C or the end of the parent, and stop; whether asked to."""
    stopped = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopped.set())
    gc.collect()
    gc.freeze()  # else the libraries are searched for garbage: pauses of 100 ms
    while not stopped.wait(0.2) and service.running:
        if parent and not psutil.pid_exists(parent):
            break
    asked = service.running
    service.drain()
    time.sleep(drain)
    service.stop(STOP_SECONDS)
    return asked


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code."""
    options = parser().parse_args(arguments)
    folder, audit_file = options.folder, options.folder / "service_audit.jsonl"
    limits = options.per_minute, options.burst
    try:
        keys, key = load_keys(folder / KEYS_FILE, options.line, *limits)
        more = [classifier_of(name) for name in options.router]
        with start(
            options.port,
            more=more,
            keys=keys,
            key=key,
            faults=options.faults,
            audit_file=audit_file,
        ) as service:
            for name in options.router:
                service.models.point(name, f"{name}-lstm")
            about_key = hand_over(folder, options.line, key)
            print(f"Model service on {service.base_url} (Ctrl-C stops it)")
            print(f"Audit log, without texts: {audit_file}")
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
