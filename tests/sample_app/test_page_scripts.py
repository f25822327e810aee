"""The page's scripts that need no page, run as modules in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sample_app.app import PAGE
from support.browser import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Route

SITE = "http://sample.test"


def serve(route: Route) -> None:
    route.fulfill(path=PAGE / route.request.url.removeprefix(f"{SITE}/"))


def empty(route: Route) -> None:
    route.fulfill(body="<!doctype html>", content_type="text/html")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page()
        page.route(f"{SITE}/*.js", serve)
        page.route(f"{SITE}/", empty)
        page.goto(f"{SITE}/")
        yield page


def call(page: Page, module: str, body: str, argument: Any) -> Any:
    """Evaluate ``body`` with the module's exports as ``m`` and the argument as ``given``."""
    return page.evaluate(
        f"async (given) => {{ const m = await import('./{module}'); {body} }}", argument
    )


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        ("askonce; hit; ttl=3540", ("hit", "HIT", True, False)),
        ("askonce; hit; ttl=-12; detail=stale", ("stale", "HIT", True, False)),
        (
            "askonce; fwd=stale; fwd-status=503; ttl=-12; detail=stale-if-error",
            ("stale", "HIT", True, False),
        ),
        ("askonce; hit; ttl=5; detail=semantic", ("hit", "HIT", True, False)),
        ("askonce; fwd=miss", ("miss", "MISS", False, True)),
        ("askonce; fwd=miss; stored", ("miss", "MISS", False, True)),
        ("askonce; fwd=miss; detail=backend-error", ("miss", "MISS", False, True)),
        ("askonce; fwd=miss; collapsed", ("joined", "MISS", False, False)),
        ("askonce; fwd=stale", ("expired", "MISS", False, True)),
        ("askonce; fwd=request", ("request", "MISS", False, True)),
        ("askonce; fwd=vary-miss", ("miss", "MISS", False, True)),
        ("askonce; fwd=bypass; detail=store", ("bypass", "BYPASS", False, True)),
        ("cdn; fwd=miss, askonce; hit; ttl=9", ("hit", "HIT", True, False)),
        ('cdn; key="a, askonce; hit", askonce; fwd=miss', ("miss", "MISS", False, True)),
        (r'askonce; detail="x\"; hit"; fwd=bypass', ("bypass", "BYPASS", False, True)),
        ("askonce; hit; ttl=9, askonce; fwd=miss", ("miss", "MISS", False, True)),
        ("cdn; hit", ("none", "NO CACHE", False, True)),
        (None, ("none", "NO CACHE", False, True)),
    ],
)
def test_cache_status_says_who_answered(
    page: Page, header: str | None, verdict: tuple[str, str, bool, bool]
) -> None:
    read = call(page, "cache_status.js", "return m.readVerdict(given)", header)
    assert read["why"].endswith(".")
    assert (read["kind"], read["word"], read["hit"], read["bought"]) == verdict


SSE = """
    const stream = new ReadableStream({ start(to) {
        for (const part of given) to.enqueue(new Uint8Array(part));
        to.close();
    } });
    const found = [];
    for await (const data of m.events(stream)) found.push(data);
    return found;
"""
EVENTS = "data: one\n\n: ping\n\nevent: x\ndata: tw\ndata:o é\n\nid: 7\n\ndata: [DONE]\n\ndata: cut"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_read_however_they_are_cut(page: Page, size: int, end: str) -> None:
    raw = EVENTS.replace("\n", end).encode()
    parts = [list(raw[start : start + size]) for start in range(0, len(raw), size)]
    assert call(page, "sse.js", SSE, parts) == ["one", "tw\no é", "[DONE]"]


TALLY = """
    const tally = new m.Tally();
    for (const asked of given) tally.add(asked);
    return {
        rates: tally.rates.map(({ rate }) => rate),
        tokens: [tally.tokens(true), tally.tokens(false)],
        money: tally.money({ input: 1e6, output: 1e6 }),
        unpriced: tally.money({ input: 1, output: null }),
        waiting: tally.waiting,
        race: tally.race("q", "m"),
        other: tally.race("other", "m"),
        known: [tally.knows("q", "m"), tally.knows("q", "n")],
    };
"""


def asked(total: int, *, hit: bool, question: str = "q", **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    verdict = {"hit": hit, "bought": not hit}
    return {
        "question": question,
        "model": "m",
        "verdict": verdict,
        "total": total,
        "usage": usage,
        **more,
    }


def test_the_tally_adds_up(page: Page) -> None:
    asks = [
        asked(2000, hit=False),
        asked(10, hit=True),
        asked(3000, hit=False),
        asked(20, hit=True, usage=None),
        asked(30, hit=True, question="bought earlier"),
    ]
    assert call(page, "tally.js", TALLY, asks) == {
        "rates": [0, 1 / 2, 1 / 3, 2 / 4, 3 / 5],
        "tokens": [10, 10],
        "money": 10,
        "unpriced": None,
        "waiting": 1990 + 2980,
        "race": {"model": 3000, "cache": 20},
        "other": {"model": None, "cache": None},
        "known": [True, False],
    }


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("milliseconds", 3.44, "3.4 ms"),
        ("milliseconds", 304.4, "304 ms"),
        ("milliseconds", 2310, "2,310 ms"),
        ("milliseconds", None, "\u2013"),
        ("seconds", 7449, "7.4 s"),
        ("count", 1234, "1,234"),
        ("count", None, "\u2013"),
        ("percent", 0.754, "75 %"),
        ("percent", None, "\u2013"),
        ("dollars", 0.00012, "$0.000120"),
        ("dollars", 12.5, "$12.50"),
        ("dollars", None, "\u2013"),
        ("times", 1.44, "1.4 \u00d7"),
        ("times", 570.4, "570 \u00d7"),
    ],
)
def test_numbers_read_well(page: Page, function: str, value: float | None, text: str) -> None:
    assert call(page, "format.js", f"return m.{function}(given)", value) == text
