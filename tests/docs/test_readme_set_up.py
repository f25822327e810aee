"""The README's two commands do all set-up."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import pytest

from support.cache_status import HIT, MISS, said
from support.readme import ROOT, blocks
from support.server import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT = "/v1/chat/completions"
QUESTION = {"model": "stand-in", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}


def commands() -> list[str]:
    """The commands, without their comments."""
    [block] = [block for block in blocks() if block.kind == "sh"]
    return [line.partition("#")[0].strip() for line in block.text.splitlines()]


def test_the_commands_are_the_two_that_everybody_uses() -> None:
    new = "python3 -m venv .venv && .venv/bin"
    assert commands() == [
        f"{new}/pip install '.[sample]' && .venv/bin/python -m sample_app",
        f"{new}/pip install tox && .venv/bin/tox",
    ]


def test_ci_runs_the_second_one() -> None:
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    [read] = re.findall(r"^test_command=.+$", script, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euc", f'{read}\necho "$test_command"'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == commands()[1]
    assert 'bash -euc "$test_command"' in script


def test_the_first_one_serves_the_main_job(tmp_path: Path) -> None:
    copy_repository(tmp_path)
    with running(commands()[0], tmp_path) as url:
        answers = [httpx.post(url + CHAT, json=QUESTION, timeout=PATIENCE) for _ in range(2)]
        page = httpx.get(url)
    assert said([answer.headers["cache-status"] for answer in answers], MISS, HIT)
    assert answers[1].json() == answers[0].json()
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


def copy_repository(directory: Path) -> None:
    """Copy what is or would be committed; nothing else is on a fresh machine."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():  # one that was deleted is listed until it is committed
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, directory / name)


@contextmanager
def running(command: str, directory: Path) -> Iterator[str]:
    """Run the command until the block ends; the address that it says it serves at."""
    with subprocess.Popen(
        ["bash", "-euc", command],
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            assert shell.stdout is not None
            yield address(shell.stdout)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


def environment() -> dict[str, str]:
    """A fresh machine's environment with this Python, and a free port to listen on."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ASKONCE_", "COV_", "PYTHON")) and name != "UPSTREAM_URL"
    }
    return {**kept, "PATH": path, "HOST": "", "PORT": "0"}


def address(output: IO[str]) -> str:
    """Read what is printed until it says where the app is."""
    printed: list[str] = []
    for line in output:
        printed.append(line)
        if found := re.search(r"sample app: (http://\S+)", line):
            return found[1]
    pytest.fail(f"the app did not start:\n{''.join(printed)}")
