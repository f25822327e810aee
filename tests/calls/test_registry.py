from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.calls import registry
from askonce.calls.base import Suffix
from askonce.calls.chat import Completion
from askonce.calls.registry import CALL_TYPES, KNOWN, Router, canonical


class Everyday(Completion):
    """A call type whose suffixes are everyday words."""

    name: ClassVar[str] = "everyday"
    suffixes: ClassVar[tuple[Suffix, ...]] = (
        Suffix("/messages", versioned=True),
        Suffix("/responses", versioned=True),
    )


CHAT, TEXT, EVERYDAY = CALL_TYPES["completion"], CALL_TYPES["text_completion"], Everyday()
ROUTES = {"/ask": CHAT, "/forms/answers": TEXT}


@pytest.fixture
def router() -> Router:
    return Router([CHAT, TEXT, EVERYDAY], ROUTES)


OURS = [
    ("/chat/completions", "", "completion", None),
    ("/v1/chat/completions", "", "completion", None),
    ("/v2/chat/completions", "", "completion", None),
    ("/v12/chat/completions", "", "completion", None),
    ("/v1beta/chat/completions", "", "completion", None),
    ("/v1alpha2/chat/completions", "", "completion", None),
    ("/v1.1/chat/completions", "", "completion", None),
    ("/api/v1/chat/completions", "", "completion", None),
    ("/a/b/c/v4/chat/completions", "", "completion", None),
    ("/openai/chat/completions", "", "completion", None),
    ("/openai/v1/chat/completions", "", "completion", None),
    ("/v1beta/openai/chat/completions", "", "completion", None),
    ("/api/v1/openai/chat/completions", "", "completion", None),
    ("/openai/deployments/gpt-4o/chat/completions", "", "completion", "gpt-4o"),
    ("/openai/deployments/a b/chat/completions", "", "completion", "a b"),
    ("/openai/deployments/chat/completions", "", "text_completion", "chat"),
    ("/api/chat/completions", "/api", "completion", None),
    ("/api/chat/completions", "/api/", "completion", None),
    ("/chat/completions", "/api", "completion", None),
    ("/api/openai/chat/completions", "/api", "completion", None),
    ("/api/openai/deployments/d/chat/completions", "/api", "completion", "d"),
    ("/a/b/v1/completions", "/a/b", "text_completion", None),
    ("/v1/completions", "/v1", "text_completion", None),
    ("/v1/completions", "", "text_completion", None),
    ("/openai/v1/completions", "", "text_completion", None),
    ("/openai/deployments/d/completions", "", "text_completion", "d"),
    ("/v1/messages", "", "everyday", None),
    ("/anthropic/v1/messages", "", "everyday", None),
    ("/ask", "", "completion", None),
    ("/api/ask", "/api", "completion", None),
    ("/forms/answers", "", "text_completion", None),
]

NOT_OURS = [
    ("", ""),
    ("/", ""),
    ("/v1/models", ""),
    ("/v1/chat", ""),
    ("/v1/chat/completions/", ""),
    ("/v1/chat/completions//", ""),
    ("//chat/completions", ""),
    ("/v1//chat/completions", ""),
    ("//v1/chat/completions", ""),
    ("/v1/chat//completions", ""),
    ("v1/chat/completions", ""),
    ("chat/completions", ""),
    ("/v1chat/completions", ""),
    ("/V1/chat/completions", ""),
    ("/v1/Chat/Completions", ""),
    ("/v1/chat/completions/x", ""),
    ("/v1/chat/completions?a=b", ""),
    ("/v1/chat/completions\n", ""),
    ("/v1/xchat/completions", ""),
    ("/v/chat/completions", ""),
    ("/vx/chat/completions", ""),
    ("/version1/chat/completions", ""),
    ("/xv1/chat/completions", ""),
    ("/v1x/chat/completions", ""),
    ("/v\u0661/chat/completions", ""),
    ("/1/chat/completions", ""),
    ("/v1/users/7/chat/completions", ""),
    ("/rooms/7/chat/completions", ""),
    ("/api/chat/completions", ""),
    ("/api/chat/completions", "/ap"),
    ("/api/chat/completions", "/other"),
    ("/api/x/chat/completions", "/api"),
    ("/api//chat/completions", "/api"),
    ("/api/api/chat/completions", "/api"),
    ("/proxy/openai/chat/completions", ""),
    ("/openai/openai/chat/completions", ""),
    ("/OpenAI/chat/completions", ""),
    ("/openai/deployments//chat/completions", ""),
    ("/openai/deployments/a/b/chat/completions", ""),
    ("/openai/deployment/a/chat/completions", ""),
    ("/deployments/a/chat/completions", ""),
    ("/x/openai/deployments/a/chat/completions", ""),
    ("/completions", ""),
    ("/api/completions", "/api"),
    ("/openai/completions", ""),
    ("/v1beta/openai/completions", ""),
    ("/surveys/completions", ""),
    ("/v1/courses/7/completions", ""),
    ("/chat/chat/completions", ""),
    ("/openai/deployments/completions", ""),
    ("/messages", ""),
    ("/v1/threads/t/messages", ""),
    ("/forms/7/responses", ""),
    ("/v1/forms/7/responses", ""),
    ("/ask/", ""),
    ("/Ask", ""),
    ("/v1/ask", ""),
    ("/x/forms/answers", ""),
    ("/api/ask", ""),
]


@pytest.mark.parametrize(("path", "root_path", "name", "deployment"), OURS)
def test_a_path_of_an_api_is_ours(
    router: Router, path: str, root_path: str, name: str, deployment: str | None
) -> None:
    route = router.match(path, root_path)
    assert route is not None
    assert (route.call.name, route.deployment) == (name, deployment)
    assert router.match(path, root_path) is route


@pytest.mark.parametrize(("path", "root_path"), NOT_OURS)
def test_a_path_that_only_looks_alike_is_not_ours(
    router: Router, path: str, root_path: str
) -> None:
    assert router.match(path, root_path) is None
    assert router.match(path, root_path) is None


def test_an_answer_for_one_mount_is_none_for_another(router: Router) -> None:
    assert router.match("/api/chat/completions", "/api") is not None
    assert router.match("/api/chat/completions", "") is None


def test_an_api_path_goes_before_the_operators_routes() -> None:
    router = Router([CHAT], {"/v1/chat/completions": TEXT, "/v1/completions": TEXT})
    routes = [router.match(path) for path in ("/v1/chat/completions", "/v1/completions")]
    assert [route and route.call for route in routes] == [CHAT, TEXT]


def test_the_longest_suffix_wins() -> None:
    class Longer(Completion):
        name: ClassVar[str] = "longer"
        suffixes: ClassVar[tuple[Suffix, ...]] = (Suffix("/openai/chat/completions"),)

    for call_types in ([CHAT, Longer()], [Longer(), CHAT]):
        route = Router(call_types, {}).match("/openai/chat/completions")
        assert route is not None
        assert route.call.name == "longer"


def test_only_the_call_types_given_are_answered_for() -> None:
    assert Router([TEXT], {}).match("/v1/chat/completions") is None
    assert Router([], {}).match("/v1/chat/completions") is None
    assert Router([], {"/v1/chat/completions": CHAT}).match("/v1/chat/completions") is not None


def test_a_flood_of_paths_is_not_remembered(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_SEEN_PATHS", 8)
    for number in range(100):
        assert router.match(f"/u{number}/v1/chat/completions") is not None
        assert router.match(f"/u{number}/chat/completions") is None
        assert router.match(f"/unrelated/{number}") is None
        assert len(router._seen) <= 8


def test_what_is_long_or_unrelated_is_not_remembered(router: Router) -> None:
    assert router.match("/unrelated") is None
    assert router.match(f"/{'a' * 300}/v1/chat/completions") is not None
    assert router.match("/v1/chat/completions", f"/{'a' * 300}") is not None
    assert not router._seen


segments = st.sampled_from(
    [
        "",
        "v1",
        "v1beta",
        "openai",
        "deployments",
        "chat",
        "completions",
        "messages",
        "x",
        "V1",
        "ask",
    ]
)
paths = st.lists(segments, max_size=6).map(lambda parts: "".join(f"/{part}" for part in parts))


@given(paths, paths)
def test_no_path_with_an_empty_segment_is_ours(path: str, root_path: str) -> None:
    router = Router([CHAT, TEXT, EVERYDAY], ROUTES)
    route = router.match(path, root_path)
    inner = path.removeprefix(root_path.rstrip("/"))
    if "//" in inner or inner.endswith("/"):
        assert route is None


@given(st.text(max_size=30), st.text(max_size=10))
def test_no_path_makes_it_raise(path: str, root_path: str) -> None:
    router = Router([CHAT, TEXT], ROUTES)
    assert router.match(path, root_path) == router.match(path, root_path)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_call_type_goes_by_its_name_and_its_twins(name: str) -> None:
    assert canonical(name) == name
    assert canonical(f"a{name}") == name


@pytest.mark.parametrize(
    "name", ["", "a", "aacompletion", "Completion", "completions", "nthropic_messages", "chat"]
)
def test_any_other_name_is_none(name: str) -> None:
    assert canonical(name) is None


def test_the_call_types_are_known_by_their_own_names() -> None:
    assert {name: call.name for name, call in CALL_TYPES.items()} == {
        name: name for name in CALL_TYPES
    }
    assert CALL_TYPES.keys() <= KNOWN
    assert {"completion", "text_completion"} <= CALL_TYPES.keys()
