from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.calls.lossless import glance, loses, read_object, same, without_member, write
from support.exactly import exactly

NUMBERS = ["1.10", "1e0", "1E+2", "-0.0", "0.1000000000000000055511151231257827", "9" * 400]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_come_back_as_the_text_they_were(number: str) -> None:
    text = f'{{"a":[{number}]}}'.encode()
    value = read_object(text)
    assert value is not None
    assert write(value) == text
    assert not loses(text)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"1", b'"a"', b"null", b"{", b'{"a":1,"a":1}', b'{"a":NaN}', b'{"a":"\\ud800"}'],
)
def test_what_is_no_plain_object_is_not_read(data: bytes) -> None:
    assert read_object(data) is None
    assert glance(data) is None or b'"a":1,"a"' in data


DEEP = b'{"a":' * 100_000


@pytest.mark.parametrize(
    "data", [DEEP, b'{"a":"\xff"}', b"\xef\xbb\xbf{}", b"{} x", b'{"a":1e999}']
)
def test_a_glance_is_not_taken_in_by_nonsense(data: bytes) -> None:
    assert glance(data) is None


def test_a_glance_sees_what_there_is() -> None:
    assert glance(b' {"a": [1, null, "b"]} ') == {"a": [1, None, "b"]}


def test_a_minus_zero_is_found_behind_any_number_of_hyphens() -> None:
    for hyphens in range(12):
        before = b'{"a":"' + b"x-1" * hyphens
        assert loses(before + b'","b":-0}')
        assert not loses(before + b'","b":"-0"}')
        assert not loses(before + b'"}')


@pytest.mark.parametrize("data", [b'{"a":-0}', b'{"a": -0 }', b"[-0,1]", b"[1,\n-0]"])
def test_a_minus_zero_is_known_to_be_lost(data: bytes) -> None:
    assert loses(data)


@pytest.mark.parametrize("data", [b'{"a":-0.5}', b'{"a":-0e1}', b'{"a":"x-0"}', b'{"a":10}'])
def test_nothing_else_is_thought_lost(data: bytes) -> None:
    assert not loses(data)


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, "1"), ([], {}), (None, 0)])
def test_values_of_different_types_are_never_the_same(one: Any, other: Any) -> None:
    assert same(one, one)
    assert not same(one, other)


def test_only_json_is_written() -> None:
    with pytest.raises(TypeError, match="complex is not a JSON value"):
        write({"a": 1j})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"u":null}', b"{}"),
        (b'{ "u" : null }', b"{  }"),
        (b'{"u":1,"b":2}', b'{"b":2}'),
        (b'{"a":1,"u":{"u":2}}', b'{"a":1}'),
        (b'{ "a": 1.0 , "u" : [1] , "b" : "u" }', b'{ "a": 1.0 , "b" : "u" }'),
        (b'{"a": 1,\n "u": 2\n}', b'{"a": 1\n}'),
        (b'{"a":"\\"u\\":,","\\u0075":2}', b'{"a":"\\"u\\":,"}'),
        (b'{"a":1,"u":null,"b":2}', b'{"a":1,"b":2}'),
        (b'{"a":{"b":1,"u":null},"u":2}', b'{"a":{"b":1,"u":null}}'),
        (b'{"a":{"b":1,"u":null},"\\u0075":2}', b'{"a":{"b":1,"u":null}}'),
        (b'{"a":"u","u":null}', b'{"a":"u"}'),
    ],
)
def test_a_member_is_cut_out_with_one_comma_and_nothing_else(data: bytes, expected: bytes) -> None:
    assert without_member(data, "u") == expected


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), JSON, min_size=1), st.sampled_from([None, 1]), st.data())
def test_any_member_of_any_object_can_be_cut_out(
    value: dict[str, Any], indent: int | None, data: Any
) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    text = json.dumps(value, indent=indent).encode()
    left = {other: value[other] for other in value if other != name}
    assert exactly(without_member(text, name)) == exactly(json.dumps(left).encode())


@given(st.dictionaries(st.text(), JSON))
def test_what_was_read_is_written_with_the_same_values(value: dict[str, Any]) -> None:
    text = json.dumps(value).encode()
    read = read_object(text)
    assert read is not None
    assert exactly(write(read)) == exactly(text)
