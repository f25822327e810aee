"""``curl``, as one tries an API by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from support.cache_status import HIT, MISS, ONLY_IF_CACHED
from support.server import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.sites import Site

CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="there is no curl on PATH")

CHAT = "/v1/chat/completions"


def command(site: Site, question: str, *options: str, stream: bool = False) -> list[str]:
    messages = [{"role": "user", "content": question}]
    body = {"model": "text", "messages": messages, "stream": stream}
    return [
        str(CURL),
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        str(PATIENCE),
        "--header",
        "Content-Type: application/json",
        "--data",
        json.dumps(body),
        *options,
        site.url + CHAT,
    ]


def curl(site: Site, question: str, *options: str, stream: bool = False) -> tuple[str, bytes]:
    """Ask once; returns what Cache-Status said, and the body."""
    asked = command(site, question, "--include", *options, stream=stream)
    done = subprocess.run(asked, check=True, capture_output=True, timeout=PATIENCE)
    final = done.stdout.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, body = final.partition(b"\r\n\r\n")
    fields = [line.partition(": ") for line in head.decode().split("\r\n")]
    return next(value for name, _, value in fields if name == "cache-status"), body


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--http1.0",),
        ("--header", "Transfer-Encoding: chunked"),
        ("--header", "Expect: 100-continue"),
        ("--compressed",),
    ],
)
def test_the_second_answer_is_the_first(
    cached: Site, stream: bool, options: tuple[str, ...]
) -> None:
    question = f"{stream} {options}"
    first = curl(cached, question, *options, stream=stream)
    second = curl(cached, question, *options, stream=stream)
    assert MISS.fullmatch(first[0])
    assert HIT.fullmatch(second[0])
    assert second[1] == first[1]


def test_a_stream_is_not_held_back(cached: Site) -> None:
    """``-N`` shows the beginning while the app still waits for word to go on."""
    asked = command(cached, "not held back", "-N", "--header", "X-Gate: curl", stream=True)
    with running(asked) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert process.poll() is None
        assert b'"role": "assistant"' in first
        httpx.post(f"{cached.url}/gates/curl")
        rest = process.stdout.read()
        assert process.wait(PATIENCE) == 0
    assert rest.endswith(b"data: [DONE]\n\n")
    status, body = curl(cached, "not held back", "-N", stream=True)
    assert HIT.fullmatch(status)
    assert body == first + rest


def test_a_header_asks_the_cache_alone(cached: Site) -> None:
    only = ("--header", "Cache-Control: only-if-cached")
    status, body = curl(cached, "only if cached", *only)
    assert ONLY_IF_CACHED.fullmatch(status)
    assert json.loads(body)["error"]["code"] == "only_if_cached"
