from __future__ import annotations

from typing import Any

import pytest

from askonce.calls.deltas import CLASH
from askonce.calls.toolcalls import calls


def piece(index: Any = None, ident: Any = None, name: Any = None, arguments: Any = None) -> Any:
    function = {"name": name, "arguments": arguments}
    fragment = {"index": index, "id": ident}
    fragment |= {"function": {key: value for key, value in function.items() if value is not None}}
    return {key: value for key, value in fragment.items() if value is not None}


def whole(*fragments: Any) -> Any:
    """One fragment in each chunk; of the calls, what tells them apart."""
    made = calls([[fragment] for fragment in fragments])
    if made is CLASH:
        return CLASH
    return [(call.get("id"), call["function"].get("name"), call["function"].get("arguments"))
            for call in made]  # fmt: skip


CALLS = [
    pytest.param(
        [piece(0, "a", "f", ""), piece(0, arguments="{"), piece(0, arguments="}")],
        [("a", "f", "{}")],
        id="fragments with the index of their call",
    ),
    pytest.param(
        [piece(0, "a", "f", "1"), piece(1, "b", "g", "2"), piece(0, arguments="3")],
        [("a", "f", "13"), ("b", "g", "2")],
        id="interleaved",
    ),
    pytest.param(
        [piece(1, "b", "g", "2"), piece(0, "a", "f", "1")],
        [("a", "f", "1"), ("b", "g", "2")],
        id="indexes give the order",
    ),
    pytest.param(
        [piece(0, "a", "f", "1"), piece(0, "b", "f", "2"), piece(0, arguments="3")],
        [("a", "f", "1"), ("b", "f", "23")],
        id="a new id begins a call, whatever its index",
    ),
    pytest.param(
        [piece(None, "a", "f", "1"), piece(None, "b", "f", "2"), piece(arguments="3")],
        [("a", "f", "1"), ("b", "f", "23")],
        id="without an index the order counts",
    ),
    pytest.param(
        [piece(0, "a", "f", "1"), piece(0, "a", "f", "2"), piece(None, "a", arguments="3")],
        [("a", "f", "123")],
        id="an id that is repeated",
    ),
    pytest.param(
        [piece(0, "a"), piece(0, None, "f", "1")], [("a", "f", "1")], id="a name that comes later"
    ),
    pytest.param(
        [piece(0, "a", "f", "1"), piece(0, "", "", "2")],
        [("a", "f", "12")],
        id="empty strings are no news",
    ),
    pytest.param(
        [piece(0, None, "f", "1"), piece(1, None, "f", "2"), piece(0, arguments="3")],
        [(None, "f", "13"), (None, "f", "2")],
        id="no ids at all",
    ),
    pytest.param([], [], id="no calls"),
    pytest.param(
        [piece(0, None, "f", "1"), piece(0, None, "f", "2")], CLASH, id="two names, no ids"
    ),
    pytest.param(
        [piece(0, "a", "f", "1"), piece(1, "a", "f", "2")], CLASH, id="one id at two indexes"
    ),
    pytest.param(
        [piece(0, "a", "f", "1"), piece(0, "b", arguments="2")], CLASH, id="an id without a name"
    ),
    pytest.param([piece(0, "a", "f"), piece(0, "a", "g")], CLASH, id="two names for one id"),
    pytest.param([piece(arguments="1")], CLASH, id="arguments without a call"),
    pytest.param([piece(0, 7, "f", "1")], CLASH, id="an id that is no string"),
    pytest.param([piece("0", "a", "f", "1")], CLASH, id="an index that is no integer"),
    pytest.param([piece(index=True, ident="a", name="f")], CLASH, id="an index that is a flag"),
    pytest.param(["a call"], CLASH, id="a fragment that is no object"),
]


@pytest.mark.parametrize(("fragments", "expected"), CALLS)
def test_fragments_find_their_call(fragments: list[Any], expected: Any) -> None:
    assert whole(*fragments) == expected


def test_a_list_that_is_none_is_a_clash() -> None:
    assert calls(["x", []]) is CLASH
    assert calls(["x"]) is CLASH


@pytest.mark.parametrize(("kind", "said"), [("function", "arguments"), ("custom", "input")])
def test_what_a_call_is_may_be_repeated_with_each_fragment(kind: str, said: str) -> None:
    fragment = {"index": 0, "id": "a", "type": kind, kind: {"name": "f", said: "x"}}
    whole = {"id": "a", "type": kind, kind: {"name": "f", said: "xx"}}
    assert calls([[fragment], [fragment]]) == [whole]


def test_custom_tools_get_their_input_and_unknown_members_survive() -> None:
    begin = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}
    end = {"index": 0, "custom": {"input": " 1"}, "extra_content": {"signature": "s"}}
    assert calls([[begin], [end]]) == [
        {
            "id": "a",
            "type": "custom",
            "custom": {"name": "sql", "input": "SELECT 1"},
            "extra_content": {"signature": "s"},
        }
    ]
