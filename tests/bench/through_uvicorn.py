"""Throughput through uvicorn, driven by wrk: the cache next to a bare app and Starlette's route.

One worker each, uvloop and httptools, on loopback. Rounds alternate between the servers so that a
noisy neighbour hits all of them; the median of each is taken and only their ratios are shown.
"""

from __future__ import annotations

import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.apps import PATH, question

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS: Final = 3
ROUNDS: Final = 5
CONNECTIONS: Final = 32
APPS: Final = {
    "bare app": "tests.bench.apps:bare",
    "askonce, hit": "tests.bench.apps:hit",
    "Starlette route": "tests.bench.apps:starlette_route",
}

_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer sk-bench"
wrk.body = {body}
"""


@contextmanager
def _server(app: str) -> Iterator[int]:
    # Not --fd: uvicorn takes such a socket for a Unix one, and no TCP_NODELAY is set on it.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log"]
    options = ["--log-level", "error", "--loop", "uvloop", "--http", "httptools"]
    process = subprocess.Popen([*command, *options])
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def _wrk(port: int, script: Path, seconds: int) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{PATH}"], capture_output=True, text=True, check=True
    )
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if failed:
        raise RuntimeError(f"{failed[1]} requests failed:\n{done.stdout}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert rate is not None
    return float(rate[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def measure() -> dict[str, float] | None:
    """Return requests per second by app, or None where there is no wrk."""
    if shutil.which("wrk") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        quoted = "[==[" + question().decode() + "]==]"
        script.write_text(_SCRIPT.format(body=quoted), encoding="utf-8")
        return _rounds(script)


def _rounds(script: Path) -> dict[str, float]:
    rates: dict[str, list[float]] = {name: [] for name in APPS}
    for _ in range(ROUNDS):
        for name, app in APPS.items():
            with _server(app) as port:
                _wait_for(port)
                _wrk(port, script, 1)
                rates[name].append(_wrk(port, script, SECONDS))
    return {name: statistics.median(measured) for name, measured in rates.items()}
