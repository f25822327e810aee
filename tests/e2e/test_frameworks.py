"""The same middleware in every framework, added as its users add it, each really served."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

import httpx
import pytest

from support.cache_status import HIT, MISS, NOT_STORED, ONLY_IF_CACHED, hit_within
from support.frameworks.model import DONE, Model
from support.server import PATIENCE, Served, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

STALE = re.compile(r"askonce; hit; ttl=(0|-\d+); detail=stale")
CHAT = "/v1/chat/completions"
USAGE = {"stream": True, "stream_options": {"include_usage": True}}

FRAMEWORKS = {
    "starlette": "starlette_app:create_app",
    "fastapi": "fastapi_app:create_app",
    "litestar": "litestar_app:create_app",
    "litestar-wrapped": "litestar_app:create_wrapped_app",
    "quart": "quart_app:create_app",
    "falcon": "falcon_app:create_app",
    "blacksheep": "blacksheep_app:create_app",
    "django": "django_app:create_app",
}
WITHOUT_LIFESPAN = {"django"}
DEAF = {"falcon", "blacksheep"}
"""They do not notice that a client left: the model speaks on, to nobody."""


@dataclass
class Site:
    framework: str
    model: Model
    served: Served
    client: httpx.Client

    def ask(
        self, question: str, fields: dict[str, str] | None = None, **members: Any
    ) -> httpx.Response:
        return self.client.post(CHAT, json=asked(question, **members), headers=fields)

    def holding(self, question: str, gate: str) -> Any:
        """Ask for a stream that stops after its first event until the gate is opened."""
        body = asked(question, **USAGE)
        return self.client.stream("POST", CHAT, json=body, headers={"X-Gate": gate})


def asked(question: str, **members: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": question}], **members}


@contextmanager
def serving(framework: str) -> Iterator[Site]:
    create_app = resolve_name(f"support.frameworks.{FRAMEWORKS[framework]}")
    lifespan: Literal["on", "auto"] = "auto" if framework in WITHOUT_LIFESPAN else "on"
    model = Model()
    with (
        serve(create_app(model), lifespan=lifespan) as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE) as client,
    ):
        yield Site(framework, model, served, client)
    assert served.complaints == []


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, no_settings: None) -> Iterator[Site]:
    with serving(request.param) as site:
        yield site


@pytest.fixture
def question(request: pytest.FixtureRequest) -> str:
    """A question that no other test asks."""
    return request.node.name


def content(answer: httpx.Response) -> str:
    return answer.json()["choices"][0]["message"]["content"]


def events(body: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n\n")]
    assert lines[-2:] == ["[DONE]", ""]
    return [json.loads(line) for line in lines[:-2]]


def told(body: bytes) -> str:
    """The text of a stream."""
    deltas = [event["choices"][0]["delta"] for event in events(body) if event["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def is_miss(answer: httpx.Response) -> bool:
    return bool(MISS.fullmatch(answer.headers["cache-status"])) and "age" not in answer.headers


def is_hit(answer: httpx.Response) -> bool:
    fresh = HIT.fullmatch(answer.headers["cache-status"])
    return bool(fresh) and answer.headers["age"].isdigit()


def test_the_second_plain_question_gets_the_first_answer(site: Site, question: str) -> None:
    first, second = site.ask(question), site.ask(question)
    assert is_miss(first)
    assert is_hit(second)
    assert content(first) == f"answer {site.model.calls}"
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["content-length"] == str(len(first.content))


def test_the_second_stream_is_the_first_stream(site: Site, question: str) -> None:
    first, second = site.ask(question, **USAGE), site.ask(question, **USAGE)
    assert is_miss(first)
    assert is_hit(second)
    assert told(first.content) == f"answer {site.model.calls}"
    assert second.content == first.content
    assert second.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in second.headers


def test_a_recorded_stream_answers_a_plain_question(site: Site, question: str) -> None:
    first, second = site.ask(question, **USAGE), site.ask(question)
    assert is_hit(second)
    assert second.headers["content-type"] == "application/json"
    assert content(second) == told(first.content)
    assert second.json()["usage"] == events(first.content)[-1]["usage"]


def test_a_stored_plain_answer_is_streamed(site: Site, question: str) -> None:
    first, second = site.ask(question), site.ask(question, **USAGE)
    assert is_hit(second)
    assert second.headers["content-type"].startswith("text/event-stream")
    assert told(second.content) == content(first)
    assert events(second.content)[-1]["usage"] == first.json()["usage"]


def test_the_app_gets_a_large_question_whole(site: Site, question: str) -> None:
    filler = "x" * 400_000
    first, second = site.ask(question, filler=filler), site.ask(question, filler=filler)
    assert is_miss(first)
    assert is_hit(second)
    assert second.content == first.content


def test_the_cache_object_is_heard_and_cut_out(site: Site, question: str) -> None:
    """The model refuses a body that still has it."""
    first = site.ask(question, cache={"ttl": 60})
    second = site.ask(question)
    assert is_miss(first)
    assert hit_within(60).fullmatch(second.headers["cache-status"])
    assert second.content == first.content


def test_an_unrelated_route_is_untouched(site: Site) -> None:
    answers = [site.client.get("/hello") for _ in range(2)]
    before = site.model.greetings - 2
    assert [answer.text for answer in answers] == [f"hello {before + 1}", f"hello {before + 2}"]
    assert not any("cache-status" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/forms/chat/completions", asked("on a path of no provider")),
        (CHAT, {"survey": 7, "note": "no messages: none of the API's"}),
    ],
)
def test_what_only_looks_like_a_question_is_untouched(
    site: Site, path: str, body: dict[str, Any]
) -> None:
    answers = [site.client.post(path, json=body) for _ in range(2)]
    numbers = [site.model.calls - 1, site.model.calls]
    assert [content(answer) for answer in answers] == [f"answer {number}" for number in numbers]
    assert not any("cache-status" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "dictated",
    [
        {"status": 429},
        {"status": 500},
        {"headers": {"Set-Cookie": "session=1"}},
        {"headers": {"Cache-Control": "private"}},
        {"headers": {"Vary": "*"}},
    ],
    ids=str,
)
def test_what_may_not_be_stored_is_passed_on(
    site: Site, question: str, dictated: dict[str, Any]
) -> None:
    """The bodies are whole answers: it is the head that forbids."""
    before = site.model.calls
    answers = [site.ask(question, **dictated) for _ in range(2)]
    assert [content(answer) for answer in answers] == [f"answer {before + n}" for n in (1, 2)]
    for answer in answers:
        assert answer.status_code == dictated.get("status", 200)
        for name, value in dictated.get("headers", {}).items():
            assert answer.headers[name] == value
        assert NOT_STORED.fullmatch(answer.headers["cache-status"])


def test_a_stream_on_its_way_is_not_held_back(site: Site, question: str) -> None:
    """The app ends its stream only when its client, having read the beginning, says so."""
    gate = f"{site.framework}-held"
    with site.holding(question, gate) as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        assert gate not in site.model.finished
        site.client.post(f"/gates/{gate}")
        rest = b"".join(pieces)
    assert b'"role"' in first
    assert DONE not in first
    assert told(first + rest) == f"answer {site.model.calls}"
    assert site.ask(question, **USAGE).content == first + rest


def test_a_client_that_leaves_does_no_harm(site: Site, question: str) -> None:
    gate = f"{site.framework}-left"
    before = site.model.calls
    with site.holding(question, gate) as answer:
        next(answer.iter_raw())
    if site.framework not in DEAF:
        assert site.model.over(gate).wait(PATIENCE), "the app never heard that its client left"
    refused = site.ask(question, {"Cache-Control": "only-if-cached"})
    assert refused.status_code == 504
    assert ONLY_IF_CACHED.fullmatch(refused.headers["cache-status"])

    site.client.post(f"/gates/{gate}")
    assert site.model.over(gate).wait(PATIENCE)
    again = site.ask(question)
    assert again.status_code == 200
    if site.framework not in DEAF:
        assert gate not in site.model.finished
        assert is_miss(again)
        assert content(again) == f"answer {before + 2}"
    assert site.served.complaints == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_starts_and_stops_without_a_complaint(framework: str, no_settings: None) -> None:
    with serving(framework) as site:
        assert is_miss(site.ask("once"))
        lived = list(site.model.lived)
    assert site.served.records == []
    has_lifespan = framework not in WITHOUT_LIFESPAN
    assert lived == (["startup"] if has_lifespan else [])
    assert site.model.lived == (["startup", "shutdown"] if has_lifespan else [])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_stale_answer_is_renewed_behind_its_client(
    framework: str, no_settings: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app answers a second time, though the request that it answers is over."""
    monkeypatch.setenv("ASKONCE_STALE_WHILE_REVALIDATE", "60")
    with serving(framework) as site:
        first = site.ask("stale", **USAGE, cache={"ttl": 0})
        second = site.ask("stale", {"X-Gate": "behind"}, **USAGE)
        assert STALE.fullmatch(second.headers["cache-status"])
        assert second.content == first.content
        site.client.post("/gates/behind")
        assert site.model.over("behind").wait(PATIENCE)
        third = next(filter(is_hit, (site.ask("stale", **USAGE) for _ in range(1000))))
        assert told(third.content) == "answer 2"
    assert site.model.calls == 2
