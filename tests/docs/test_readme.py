"""Every block of the README does what it says."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging.config
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from askonce import CacheMiddleware, CacheSettings
from askonce._settings import show
from sample_app.app import create_app
from sample_app.stand_in import Pace, StandIn
from support import sites
from support.asgi import Dictated, call, chat_body, completion, http_scope
from support.cache_status import HIT, MISS, said
from support.environment import isolate
from support.frameworks import django_app
from support.frameworks.model import Model
from support.readme import PROSE, Block, blocks
from support.server import PATIENCE, serve

if TYPE_CHECKING:
    from types import ModuleType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHAT = "/v1/chat/completions"
QUESTION = {"model": "text", "messages": [{"role": "user", "content": "hi"}]}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
PROVIDER = "https://api.openai.com"
SERVER = "http://127.0.0.1:8000"


class Tools(NamedTuple):
    """What a runner has at hand.

    Args:
        directory: An empty directory, which is the working directory.
        monkeypatch: Undoes what a runner changes.
        printed: Returns what was printed since it was last called.
    """

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    printed: Callable[[], str]


@pytest.fixture
def tools(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Tools:
    isolate(monkeypatch, tmp_path)
    return Tools(tmp_path, monkeypatch, lambda: capsys.readouterr().out)


def python(block: Block, tools: Tools) -> None:
    runners = [run for mark, run in PYTHON.items() if mark in block.text]
    assert len(runners) == 1, "nobody knows what to do with this block, or several do"
    runners[0](block, tools)


def env(block: Block, tools: Tools) -> None:
    """Every line is a setting, and is taken as it is written."""
    (tools.directory / ".env").write_text(block.text)
    settings = CacheSettings()
    lines = [line.split("=", 1) for line in block.text.splitlines() if not line.startswith("#")]
    assert lines
    for variable, value in lines:
        field = variable.removeprefix("ASKONCE_").lower()
        assert show.as_text(getattr(settings, field)) == value
        assert ".env" in str(settings.origin_of(field))


def console(block: Block, tools: Tools) -> None:
    """Every command prints what stands below it; a line ``...`` stands for any lines."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for part in block.text.removeprefix("$ ").split("\n$ "):
        command, expected = part.split("\n", 1)
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            env={**os.environ, "PATH": path},
            cwd=tools.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
        pattern = re.escape(expected).replace(re.escape("...\n"), "(?:.*\n)*")
        assert re.fullmatch(pattern, printed), printed


def body(block: Block, tools: Tools) -> None:
    """A request's body: answered and stored as it says, and the app never sees its ``cache``."""
    app = Dictated()
    cached = CacheMiddleware(app)
    sent = json.loads(block.text)
    ttl = sent.pop("cache")["ttl"]

    async def ask() -> list[str]:
        return [(await call(cached, block.text.encode())).cache_status for _ in range(2)]

    first, second = asyncio.run(ask())
    assert MISS.fullmatch(first)
    assert second in {f"askonce; hit; ttl={ttl}", f"askonce; hit; ttl={ttl - 1}"}
    assert [json.loads(seen) for seen in app.bodies] == [sent]


Runner = Callable[[Block, Tools], None]
RUNNERS: dict[str, Runner] = {"python": python, "env": env, "console": console, "json": body}
SET_UP = "sh"
"""The commands that set everything up have a file of tests of their own."""


def test_every_block_has_a_runner() -> None:
    kinds = [block.kind for block in blocks()]
    assert set(kinds) == {*RUNNERS, SET_UP}
    assert kinds.count(SET_UP) == 1


@pytest.mark.parametrize(
    "block",
    [block for block in blocks() if block.kind != SET_UP],
    ids=lambda block: f"{block.kind}-line-{block.line}",
)
def test_a_block_is_true(block: Block, tools: Tools) -> None:
    RUNNERS[block.kind](block, tools)


# ---- how Python is run, by what stands in it


def load(name: str, text: str, tools: Tools, **given: Any) -> ModuleType:
    """Import a text as a module; ``given`` are names that it finds there."""
    path = tools.directory / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(given)
    tools.monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def ask_thrice(app: ASGIApp) -> None:
    """The second answer is the first one again, and the third one is its stream."""
    with serve(app) as served, httpx.Client(base_url=served.url, timeout=PATIENCE) as client:
        client.headers["Authorization"] = "Bearer sk-mine"
        answers = [client.post(CHAT, json=QUESTION | more) for more in ({}, {}, USAGE)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert said([answer.headers["cache-status"] for answer in answers], MISS, HIT, HIT)
    assert answers[1].content == answers[0].content
    assert answers[2].content.endswith(b"data: [DONE]\n\n")
    assert served.complaints == []


def in_a_framework(block: Block, tools: Tools) -> None:
    questions: list[Any] = []

    async def answer(question: dict[str, Any]) -> Any:
        questions.append(question)
        return json.loads(completion())

    # Litestar sets up the log of the whole process, and would take it from pytest.
    tools.monkeypatch.setattr(logging.config, "dictConfig", lambda config: None)
    module = load("asgi", block.text, tools, answer=answer)
    ask_thrice(module.app)
    assert questions == [QUESTION]


def in_django(block: Block, tools: Tools) -> None:
    model = Model()
    django_app.create_app(model)  # settings and URLs are global
    module = load("asgi", block.text, tools)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await module.application({**scope, "model": model}, receive, send)

    ask_thrice(app)
    assert model.calls == 1


def before_a_provider(block: Block, tools: Tools) -> None:
    with sites.bare() as provider:
        module = load("app", block.text.replace(PROVIDER, provider.url), tools)
        ask_thrice(_closing(module.app, module.provider))
        assert provider.provider.calls == 1


def _closing(app: ASGIApp, client: httpx.AsyncClient) -> ASGIApp:
    """An app that closes a client as it ends."""

    async def closing(scope: Scope, receive: Receive, send: Send) -> None:
        async def hear() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await client.aclose()
            return message

        await app(scope, hear, send)

    return closing


def as_a_client(block: Block, tools: Tools) -> None:
    """Every call prints what the comment behind it says; seconds may have passed."""
    with serve(create_app(StandIn(Pace(first=0, each=0)))) as served:
        module = load("client", block.text.replace(SERVER, served.url), tools)
        module.client.close()
    expected = re.findall(r"^\w.*\)  # (.+)$", block.text, re.MULTILINE)
    heard = tools.printed().splitlines()
    patterns = [re.compile(text.replace("ttl=3599", r"ttl=(3600|35\d\d)")) for text in expected]
    assert said(heard, *patterns), heard


def as_caller_id(block: Block, tools: Tools) -> None:
    """The function is named as the text says, and tells callers apart."""
    [path] = re.findall(r"`ASKONCE_CALLER_ID=([\w:]+)`", PROSE)
    load(path.partition(":")[0], block.text, tools)
    tools.monkeypatch.setenv("ASKONCE_CALLER_ID", path)
    cached = CacheMiddleware(Dictated())

    async def ask() -> list[str]:
        return [await _ask_from(cached, address) for address in ("10.0.0.1", "10.0.0.2") * 2]

    assert said(asyncio.run(ask()), MISS, MISS, HIT, HIT)


async def _ask_from(app: ASGIApp, address: str) -> str:
    question = json.dumps(QUESTION).encode()
    return (await call(app, question, scope={**http_scope(), "client": (address, 1)})).cache_status


def as_a_function(block: Block, tools: Tools) -> None:
    """The second call is a hit, in the type of the first."""
    with serve(create_app(StandIn(Pace(first=0, each=0)))) as served:
        tools.monkeypatch.setenv("OPENAI_BASE_URL", f"{served.url}/v1")
        tools.monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
        module = load("function", block.text, tools)
        module.client.close()
        asyncio.run(module.cache.disconnect())
    assert type(module.answer).__name__ == "ChatCompletion"
    assert tools.printed() == "False\nTrue\n"


def with_events(block: Block, tools: Tools) -> None:
    """Questions that differ in case alone are one, and each is told of."""
    module = load("events", block.text, tools, app=Dictated())

    async def ask() -> list[str]:
        bodies = [chat_body(messages=[{"role": "user", "content": text}]) for text in ("Hi", "HI")]
        heard = [(await call(module.app, body)).cache_status for body in bodies]
        await module.cache.disconnect()
        return heard

    assert said(asyncio.run(ask()), MISS, HIT)
    assert tools.printed() == "miss m 2\nhit m 2\n"


PYTHON: dict[str, Runner] = {
    "@cached(cache)": as_a_function,
    "cache.subscribe(": with_events,
    "await answer(": in_a_framework,
    "get_asgi_application": in_django,
    PROVIDER: before_a_provider,
    SERVER: as_a_client,
    "(scope):": as_caller_id,
}
