"""The README's tables of what a client hears, row by row, against a wrapped app."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from askonce.caching.in_memory_cache import InMemoryCache
from askonce.errors import BackendError
from support.asgi import Dictated
from support.desk import PLAIN, Ask, Desk, saying
from support.environment import isolate
from support.readme import codes, table

if TYPE_CHECKING:
    from pathlib import Path

    from askonce.entry import Entry


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


class Broken(InMemoryCache):
    def get_entry(self, key: str) -> Entry | None:
        raise BackendError("broken")


class Story(NamedTuple):
    """What leads to a row.

    Args:
        operator: Settings.
        asks: Who asks, in order; what the last one hears is in the row.
        wait: Seconds that pass before the last one asks.
        app: The app, if it is not to be an ordinary one.
        fails: The status that the app answers to the last one.
        backend: Where answers are kept; in memory if None.
    """

    operator: dict[str, Any] = {}  # noqa: RUF012  (a NamedTuple's default, never written to)
    asks: tuple[Ask, ...] = (PLAIN, PLAIN)
    wait: float = 0.0
    app: Dictated | None = None
    fails: int | None = None
    backend: InMemoryCache | None = None


REVALIDATING = {"ttl": 10, "stale_while_revalidate": 60}
FORGIVING = {"ttl": 10, "stale_if_error": 60}
GERMAN = Ask((("accept-language", "de"),))

STORIES = {
    "served from the cache": Story(wait=60),
    "served stale, refreshed behind": Story(REVALIDATING, wait=22),
    "served stale because the app failed": Story(FORGIVING, wait=22, fails=503),
    "not there; a stream, not known to be complete": Story(
        asks=(Ask(members={"stream": True}),), app=Dictated().streams()
    ),
    "not there; complete when its head left": Story(asks=(PLAIN,)),
    "expired, but kept for its stale window": Story(FORGIVING, wait=22),
    "fresh, but the client's limits refused it": Story(asks=(PLAIN, saying("no-cache"))),
    "the stored answer's `Vary` differs": Story(
        asks=(PLAIN, GERMAN), app=Dictated().says((b"vary", b"accept-language"))
    ),
    "not cacheable, or opted out": Story({"mode": "default_off"}),
    "the backend failed": Story(backend=Broken()),
    "`only-if-cached`, nothing there: 504": Story(asks=(saying("only-if-cached"),)),
}
HEARD = {what: codes(member) for what, member in table("What happened", "`Cache-Status`")}


def test_every_status_has_a_story() -> None:
    assert HEARD.keys() == STORIES.keys()


@pytest.mark.parametrize("what", HEARD)
async def test_a_client_hears_what_happened(what: str) -> None:
    story = STORIES[what]
    desk = Desk(story.app, story.backend, **story.operator)
    *before, last = story.asks
    for ask in before:
        await desk.ask(ask)
    desk.now += story.wait
    desk.app.status = story.fails or 200
    answered = await desk.ask(last)
    assert [answered.cache_status] == HEARD[what]
    assert answered.status == (504 if "504" in what else 200)
    assert bool(answered.all("age")) == ("served" in what)


async def test_the_key_is_shown_to_who_wants_it() -> None:
    assert re.search('; key="askonce:[0-9a-f]{64}"$', await Desk(expose_key=True).hear())


# ---- why a request is bypassed


class Unnamed:
    is_authenticated = True


BYPASSES: dict[str, tuple[Ask, dict[str, Any]]] = {
    "default-off": (PLAIN, {"mode": "default_off"}),
    "store": (Ask(members={"store": True}), {}),
    "hosted-tools": (Ask(members={"tools": [{"type": "web_search"}]}), {}),
    "audio-output": (Ask(members={"modalities": ["text", "audio"]}), {}),
    "malformed-json": (Ask(raw=b"{"), {}),
    "duplicate-member": (Ask(raw=b'{"model": "a", "model": "b"}'), {}),
    "not-an-object": (Ask(raw=b"[]"), {}),
    "empty-body": (Ask(raw=b""), {}),
    "too-deep": (Ask(raw=b"[" * 10_000), {}),
    "number-too-long": (Ask(raw=b'{"a":' + b"9" * 5_000 + b"}"), {}),
    "wrong-type": (Ask(members={"stream": "yes"}), {}),
    "number-range": (Ask(members={"x": 10**30}), {}),
    "content-encoding": (Ask((("content-encoding", "gzip"),)), {}),
    "request-too-large": (PLAIN, {"max_request_bytes": 10}),
    "doubled-credentials": (Ask((("x-api-key", "a"), ("x-api-key", "b"))), {}),
    "unknown-user": (Ask(user=Unnamed()), {}),
    "caller-id-failed": (PLAIN, {"caller_id": "builtins:len"}),
    "namespace-conflict": (
        saying("namespace=a")._replace(members={"cache": {"namespace": "b"}}),
        {},
    ),
    "invalid-cache-control": (Ask(members={"cache": {"tll": 60}}), {}),
}
FAULT = "internal-error"
DETAILS = [detail for cell, _ in table("`detail`", "Why") for detail in codes(cell)]


def test_every_reason_can_be_had() -> None:
    assert sorted(DETAILS) == sorted({*BYPASSES, FAULT})


@pytest.mark.parametrize("detail", BYPASSES)
async def test_a_bypass_says_why(detail: str) -> None:
    ask, operator = BYPASSES[detail]
    desk = Desk(**operator)
    answered = await desk.ask(ask)
    assert answered.cache_status == f"askonce; fwd=bypass; detail={detail}"
    refused = detail == "invalid-cache-control"
    assert (answered.status, desk.app.calls) == ((400, 0) if refused else (200, 1))
    if ask.raw is not None:
        assert desk.app.bodies == [ask.raw]


async def test_a_fault_of_ours_is_logged_and_the_app_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    monkeypatch.setattr(desk.cached._handler, "arrive", None)
    assert await desk.hear() == f"askonce; fwd=bypass; detail={FAULT}"
    assert len(caplog.records) == desk.app.calls == 1
