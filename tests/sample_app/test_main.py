from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sample_app.__main__ import StartError, address, choose_provider, listen
from sample_app.stand_in import StandIn
from sample_app.upstream import Upstream

ROOT = Path(__file__).parents[2]


COMMAND = [sys.executable, "-m", "sample_app"]
PATIENCE = 30  # seconds until a command that hangs is killed


def test_it_listens_where_it_says_and_stops_on_interrupt() -> None:
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "PORT": "0", "UPSTREAM_URL": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
            assert httpx.get(url).status_code == 200
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PORT": "no"}, "PORT must be a number from 0 to 65535, not 'no'"),
        ({"PORT": "0", "UPSTREAM_URL": "api.openai.com"}, "UPSTREAM_URL must begin with https://"),
        ({"PORT": "0", "ASKONCE_TTL": "soon"}, "ASKONCE_TTL"),
    ],
    ids=lambda case: next(reversed(case)) if isinstance(case, dict) else "",
)
def test_a_wrong_variable_stops_it_in_words(variables: dict[str, str], says: str) -> None:
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "80.5", " 80", "٨٠", "1e3"])
def test_a_port_is_a_number_in_range(port: str) -> None:
    with pytest.raises(StartError, match="PORT must be a number"):
        listen("127.0.0.1", port)


def test_a_taken_port_is_one_line_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port}: the port is taken. HINT: PORT=0"):
            listen("127.0.0.1", str(port))


@pytest.mark.parametrize("host", ["192.0.2.1", "x" * 70])
def test_a_host_that_is_not_here_is_named(host: str) -> None:
    with pytest.raises(StartError, match=host):
        listen(host, "0")


def test_the_address_can_be_clicked() -> None:
    with listen("127.0.0.1", "0") as listener:
        assert address(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_address_is_bracketed() -> None:
    with listen("::1", "0") as listener:
        assert address(listener) == f"http://[::1]:{listener.getsockname()[1]}"


async def test_upstream_url_decides_who_answers() -> None:
    assert isinstance(choose_provider(""), StandIn)
    provider = choose_provider("http://127.0.0.1:1/v1")
    assert isinstance(provider, Upstream)
