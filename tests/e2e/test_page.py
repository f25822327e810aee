"""The page in a real browser, in front of the real command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, Route, expect

from support.browser import chromium
from support.visit import Visit, boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "sample_app" / "screenshot.png"
WRITE_PICTURE = "WRITE_SCREENSHOT"  # set it to renew the README's picture
DESKTOP, PHONE = {"width": 1280, "height": 1140}, {"width": 360, "height": 740}
SIZES: dict[str, Any] = {"desktop": DESKTOP, "phone": PHONE}
CHAT = "**/v1/chat/completions"

expect.set_options(timeout=20_000)


def undecided() -> dict[str, str]:
    """The environment, with nothing in it that this app or the cache would heed."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("ASKONCE_") and name not in {"HOST", "PORT", "UPSTREAM_URL"}
    }


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "sample_app"],
        cwd=ROOT,
        env={**undecided(), "PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found, "the sample app did not start"
            yield found.group()
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[DESKTOP], ids=["desktop"])
def viewport(request: pytest.FixtureRequest) -> dict[str, int]:
    return request.param


@pytest.fixture
def visit(
    browser: Browser, url: str, viewport: dict[str, int], request: pytest.FixtureRequest
) -> Iterator[Visit]:
    """A visit whose question nobody else asks; it must end without a complaint."""
    with browser.new_context(viewport=viewport, locale="en-US") as context:
        visit = Visit(context.new_page(), f"What is promised by {request.node.name}?").open(url)
        yield visit
    assert visit.complaints == []


def test_the_second_ask_is_a_hit(visit: Visit) -> None:
    visit.ask()
    visit.finished("MISS")
    visit.shows("#cache-status", re.compile(r"^askonce; fwd=miss"))
    visit.shows("#age", "not sent")
    visit.shows("#rate", "0 %")
    answer = visit.page.inner_text("#answer")
    assert visit.question in answer
    visit.shows("#submit", "Ask again")
    visit.ask()
    visit.finished("HIT")
    visit.shows("#answer", answer)
    visit.shows("#cache-status", re.compile(r"^askonce; hit; ttl=\d+$"))
    visit.shows("#age", re.compile(r"^\d+$"))
    visit.shows("#rate", "50 %")
    visit.shows("#rate-of", "1 of 2 asks")


def test_it_tells_what_the_hit_was_worth(visit: Visit) -> None:
    visit.page.click("summary")
    visit.page.fill("#price-in", "2000000")
    visit.page.fill("#price-out", "2000000")
    visit.ask()
    visit.finished("MISS")
    bought = visit.number("#bought")
    assert bought > 0
    visit.shows("#saved", "0")
    visit.shows("#money", "$0.000000")
    visit.ask()
    visit.finished("HIT")
    assert (visit.number("#bought"), visit.number("#saved")) == (bought, bought)
    visit.shows("#money", f"${2 * bought:.2f}")
    assert visit.number("#waiting") > 0
    visit.shows("#faster", re.compile(r"faster from the cache\.$"))
    assert visit.number("#model-time") > visit.number("#cache-time")


def test_a_streamed_answer_is_a_hit_for_a_plain_ask(visit: Visit) -> None:
    visit.ask()
    visit.finished("MISS")
    answer = visit.page.inner_text("#answer")
    visit.page.uncheck("#stream")
    visit.ask()
    visit.finished("HIT")
    visit.shows("#answer", answer)


def test_no_cache_asks_the_model_again(visit: Visit) -> None:
    visit.ask()
    visit.finished("MISS")
    visit.page.check("#fresh")
    visit.ask()
    visit.finished("MISS")
    visit.shows("#cache-status", re.compile("fwd=request"))
    visit.shows("#verdict-why", "The request wanted a fresh answer, so the model was asked.")


def test_another_model_is_another_question(visit: Visit) -> None:
    visit.ask()
    visit.finished("MISS")
    visit.page.select_option("#model", "stand-in")
    visit.shows("#submit", "Ask")
    visit.ask()
    visit.finished("MISS")


def test_the_answer_is_announced_and_grows(visit: Visit) -> None:
    answer = visit.page.locator("#answer")
    expect(answer).to_have_attribute("aria-live", "polite")
    visit.ask()
    expect(answer).to_have_attribute("aria-busy", "true")
    expect(answer).to_have_text(re.compile("^Stand-in answer"))
    expect(answer).to_have_attribute("data-state", "running")
    visit.finished("MISS")
    expect(answer).to_have_attribute("aria-busy", "false")
    expect(visit.page.locator("#chart")).to_have_attribute("aria-label", re.compile("0 % after 1"))


def test_the_keyboard_is_enough(visit: Visit) -> None:
    page = visit.page
    page.focus("#question")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    visit.finished("MISS")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "submit":
            break
    page.keyboard.press("Space")
    visit.finished("HIT")
    page.focus("#history button >> nth=0")
    page.keyboard.press("Enter")
    visit.shows("#rate-of", "2 of 3 asks")


def test_an_earlier_question_can_be_asked_from_the_list(visit: Visit) -> None:
    visit.ask()
    visit.finished("MISS")
    visit.page.click(".chip >> nth=1")
    assert visit.page.input_value("#question") == "Name three uses for a brick."
    visit.page.click("#history button")
    visit.finished("HIT")
    assert visit.page.input_value("#question") == visit.question
    expect(visit.page.locator("#history li")).to_have_count(2)


def test_stopping_ends_the_asking_and_counts_for_nothing(visit: Visit) -> None:
    visit.page.select_option("#model", "stand-in")
    visit.ask()
    expect(visit.page.locator("#answer")).to_have_text(re.compile("Stand-in"))
    visit.page.click("#stop")
    visit.shows("#answer .error", "Stopped.")
    visit.shows("#rate-of", "of no asks")
    visit.complaints = [said for said in visit.complaints if not said.startswith("failed: ")]
    visit.ask()
    visit.finished("MISS")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"], indirect=True)
def test_nothing_jumps(visit: Visit) -> None:
    before = boxes(visit.page)
    visit.ask()
    expect(visit.page.locator("#answer")).to_have_text(re.compile("Stand-in"))
    assert boxes(visit.page) == before
    visit.finished("MISS")
    assert boxes(visit.page) == before
    visit.ask()
    visit.finished("HIT")
    assert boxes(visit.page) == before


@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"], indirect=True)
def test_a_phone_shows_verdict_and_button_together_and_scrolls_one_way(visit: Visit) -> None:
    visit.ask()
    visit.finished("MISS")
    expect(visit.page.locator("#verdict-word")).to_be_in_viewport(ratio=1)
    expect(visit.page.locator("#submit")).to_be_in_viewport(ratio=1)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


# What goes wrong is said in words. The browser complains too, and may.


def answers(status: int, body: str, kind: str) -> Any:
    def fulfil(route: Route) -> None:
        route.fulfill(status=status, body=body, content_type=kind)

    return fulfil


ERROR = json.dumps({"error": {"message": "You ask too much."}})
BROKEN = 'data: {"choices": [{"delta": {"content": "Half an"}}]}\n\n'


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (answers(429, ERROR, "application/json"), "The app answered 429: You ask too much."),
        (answers(500, "Oops", "text/plain"), "The app answered 500: Oops"),
        (answers(200, "{", "application/json"), "The answer broke off, or is not JSON."),
        (answers(200, BROKEN, "text/event-stream"), "The answer broke off before its end."),
        (answers(200, f"data: {ERROR}\n\n", "text/event-stream"), "You ask too much."),
        (answers(200, "data: {\n\n", "text/event-stream"), "an event that is not JSON."),
        (lambda route: route.abort(), "The app could not be reached. Is it still running?"),
    ],
    ids=["refused", "failed", "no-json", "broken", "error-event", "no-event", "unreachable"],
)
def test_an_error_is_told_in_words(visit: Visit, handler: Any, says: str) -> None:
    visit.page.route(CHAT, handler)
    visit.ask()
    expect(visit.page.locator("#answer .error")).to_contain_text(says)
    visit.shows("#verdict-why", "No answer.")
    visit.shows("#rate-of", "of no asks")
    visit.page.unroute(CHAT)
    visit.complaints.clear()
    visit.ask()
    visit.finished("MISS")


def test_a_model_can_be_named_where_none_are_listed(visit: Visit) -> None:
    visit.page.route("**/v1/models", answers(401, ERROR, "application/json"))
    visit.page.reload()
    visit.shows("#notice", "Models not listed. The app answered 401: You ask too much.")
    visit.page.fill("#model-name", "stand-in-brief")
    visit.page.fill("#question", visit.question)
    visit.ask()
    visit.finished("MISS")
    visit.complaints.clear()


def test_the_key_goes_along(visit: Visit) -> None:
    heard: list[str | None] = []
    visit.page.on("request", lambda request: heard.append(request.headers.get("authorization")))
    visit.page.click("summary")
    visit.page.fill("#key", "sk-1")
    visit.ask()
    visit.finished("MISS")
    assert set(heard) == {"Bearer sk-1"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SIZES)
def test_it_can_be_pictured(
    browser: Browser, url: str, tmp_path: Path, scheme: Any, name: str
) -> None:
    readme = (name, scheme) == ("desktop", "light")
    question = "Why is the sky blue?" if readme else f"Why is a {name} {scheme}?"
    with browser.new_context(
        viewport=SIZES[name], color_scheme=scheme, device_scale_factor=1.5, reduced_motion="reduce"
    ) as context:
        visit = Visit(context.new_page(), question).open(url)
        visit.page.select_option("#model", "stand-in")
        for word in ("MISS", "HIT", "HIT", "HIT"):
            visit.ask()
            visit.finished(word)
        picture = visit.page.screenshot(path=tmp_path / f"{name}-{scheme}.png")
    assert picture.startswith(b"\x89PNG")
    if readme and os.environ.get(WRITE_PICTURE):
        PICTURE.write_bytes(picture)
