from __future__ import annotations

import json
import sys
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.calls.parse import Parsed, Unreadable, parse

DEEP = 10_000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "empty-body", id="nothing"),
        pytest.param(b" \r\n\t", "empty-body", id="white space"),
        pytest.param(b"{", "malformed-json", id="cut short"),
        pytest.param(b'{"a":}', "malformed-json", id="no value"),
        pytest.param(b"{} {}", "malformed-json", id="two objects"),
        pytest.param(b'{"a":1,}', "malformed-json", id="trailing comma"),
        pytest.param(b"{'a':1}", "malformed-json", id="single quotes"),
        pytest.param(b'{"a":01}', "malformed-json", id="leading zero"),
        pytest.param(b'{"a":NaN}', "malformed-json", id="NaN"),
        pytest.param(b'{"a":Infinity}', "malformed-json", id="infinity"),
        pytest.param(b'{"a":-Infinity}', "malformed-json", id="negative infinity"),
        pytest.param(b'{"a":"\\ud800"}', "malformed-json", id="lone surrogate"),
        pytest.param(b'{"a":"\\udc00\\ud800"}', "malformed-json", id="reversed surrogates"),
        pytest.param(b'{"a":"\xff"}', "malformed-json", id="invalid UTF-8"),
        pytest.param(b'{"a":"\xc0\xaf"}', "malformed-json", id="overlong UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', "malformed-json", id="surrogate in UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "malformed-json", id="byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), "malformed-json", id="UTF-16"),
        pytest.param(b'{"a":"\n"}', "malformed-json", id="control character"),
        pytest.param(b'{"a":1,"a":1}', "duplicate-member", id="name twice"),
        pytest.param(b'{"a":1,"\\u0061":2}', "duplicate-member", id="name twice, escaped"),
        pytest.param(b'{"x":[{"a":1,"a":2}]}', "duplicate-member", id="name twice, inside"),
        pytest.param(b'{"cache":{},"cache":{}}', "duplicate-member", id="cache twice"),
        pytest.param(b'{"cache":{"ttl":1,"ttl":2}}', "duplicate-member", id="twice in cache"),
        pytest.param(b"[" * DEEP + b"]" * DEEP, "too-deep", id="deep list"),
        pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, "too-deep", id="deep object"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", "number-too-long", id="long integer"),
        pytest.param(b'{"recursion limit exceeded":', "malformed-json", id="misleading name"),
        pytest.param(b"[]", "not-an-object", id="list"),
        pytest.param(b'"a"', "not-an-object", id="string"),
        pytest.param(b"1.5", "not-an-object", id="number"),
        pytest.param(b"null", "not-an-object", id="null"),
    ],
)
def test_an_unreadable_body_says_why(body: bytes, reason: str) -> None:
    assert parse(body) == Unreadable(reason)


def test_numbers_stay_exact() -> None:
    parsed = parse(b'{"a":123456789012345678901234567890,"b":0.10,"c":1e400,"d":-0}')
    assert isinstance(parsed, Parsed)
    assert parsed.members["a"] == 123456789012345678901234567890
    assert [type(value) for value in parsed.members.values()] == [
        int,
        jiter.LosslessFloat,
        jiter.LosslessFloat,
        int,
    ]
    assert [str(parsed.members[name]) for name in "bc"] == ["0.10", "1e400"]


def test_a_body_without_cache_is_not_cut() -> None:
    assert parse(b'{"a":{"cache":{}},"b":["cache"]}') == Parsed(
        {"a": {"cache": {}}, "b": ["cache"]}, None, None
    )


@pytest.mark.parametrize("value", ["true", "null", "1", '"no-cache"', "[]", "[{}]"])
def test_a_cache_that_is_no_object_is_the_apis_own(value: str) -> None:
    parsed = parse(f'{{"a":1,"cache":{value}}}'.encode())
    assert parsed == Parsed({"a": 1, "cache": json.loads(value)}, None, None)


@pytest.mark.parametrize(
    ("body", "cut"),
    [
        pytest.param('{"cache":{}}', "{}", id="alone"),
        pytest.param(' { "cache" : { } } ', " {  } ", id="alone, with space"),
        pytest.param('{"cache":{"ttl":1},"a":1}', '{"a":1}', id="first"),
        pytest.param('{ "cache" : {} ,\n "a":1}', '{ \n "a":1}', id="first, with space"),
        pytest.param('{"a":1,"cache":{},"b":2}', '{"a":1,"b":2}', id="middle"),
        pytest.param(
            '{"a":1 ,\t"cache" :\n{} , "b":2}', '{"a":1  , "b":2}', id="middle, with space"
        ),
        pytest.param('{"a":1,"cache":{}}', '{"a":1}', id="last"),
        pytest.param('{"a":1\r\n, "cache":{}\r\n}', '{"a":1\r\n\r\n}', id="last, with space"),
        pytest.param('{"a":1,"\\u0063ache":{}}', '{"a":1}', id="escaped name"),
        pytest.param(
            '{"é𝄞":"ü","cache":{"namespace":"ß"},"ö":"€"}', '{"é𝄞":"ü","ö":"€"}', id="text"
        ),
        pytest.param('{"cache ":{},"cache":{}}', '{"cache ":{}}', id="a name alike"),
        pytest.param('{"a":"\\"cache\\":{}","cache":{}}', '{"a":"\\"cache\\":{}"}', id="in a text"),
        pytest.param('{"a":"{,}","cache":{"x":"}"}}', '{"a":"{,}"}', id="braces in texts"),
        pytest.param(
            '{"a":1.00,"b":1E+2,"c":-0,"d":"\\/\\u00e9","cache":{}}',
            '{"a":1.00,"b":1E+2,"c":-0,"d":"\\/\\u00e9"}',
            id="literals",
        ),
        pytest.param(
            f'{{"a":{"9" * 4000},"cache":{{}},"b":{"8" * 4000}}}',
            f'{{"a":{"9" * 4000},"b":{"8" * 4000}}}',
            id="long integers",
        ),
        pytest.param(
            f'{{"a":{"[" * 198}{"]" * 198},"cache":{{}}}}',
            f'{{"a":{"[" * 198}{"]" * 198}}}',
            id="as deep as can be read",
        ),
    ],
)
def test_the_cache_object_is_cut_out_and_every_other_byte_stays(body: str, cut: str) -> None:
    parsed = parse(body.encode())
    assert isinstance(parsed, Parsed)
    assert parsed.cut == cut.encode()
    assert parsed.control is not None
    assert repr(parsed.members) == repr(members_of(cut.encode()))


def test_long_integers_are_cut_around_whatever_python_allows() -> None:
    allowed = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        parsed = parse(b'{"a":' + b"9" * 4000 + b',"cache":{}}')
    finally:
        sys.set_int_max_str_digits(allowed)
    assert isinstance(parsed, Parsed)
    assert parsed.cut == b'{"a":' + b"9" * 4000 + b"}"


def test_the_cache_object_comes_as_plain_values() -> None:
    parsed = parse(b'{"cache":{"ttl":1.5,"s-maxage":60,"no-cache":true,"namespace":"x","a":null}}')
    assert isinstance(parsed, Parsed)
    assert parsed.control == {
        "ttl": 1.5,
        "s-maxage": 60,
        "no-cache": True,
        "namespace": "x",
        "a": None,
    }
    assert type(parsed.control["ttl"]) is float


def test_a_number_too_large_for_a_float_is_no_number_for_policy() -> None:
    parsed = parse(b'{"cache":{"ttl":1e999}}')
    assert isinstance(parsed, Parsed)
    assert parsed.control is not None
    assert not isinstance(parsed.control["ttl"], (int, float))


def members_of(body: bytes) -> dict[str, Any]:
    parsed = parse(body)
    assert isinstance(parsed, Parsed)
    return parsed.members


space = st.text(" \t\r\n", max_size=2)
strings = st.text(st.characters(codec="utf-8"), max_size=5)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=8,
)
member_names = strings.filter(lambda name: name != "cache")
spelled = st.sampled_from(['"cache"', '"\\u0063ache"', '"c\\u0061ch\\u0065"'])


@st.composite
def cached_bodies(draw: st.DrawFn) -> tuple[str, str, str, dict[str, Any]]:
    """The text before our member, our member, the text behind it, and what else is a member."""
    members = draw(st.dictionaries(member_names, json_values, max_size=3))
    as_ascii = draw(st.booleans())

    def spaced(value: Any) -> str:
        return draw(space) + json.dumps(value, ensure_ascii=as_ascii) + draw(space)

    written = [f"{spaced(name)}:{spaced(value)}" for name, value in members.items()]
    control = draw(st.dictionaries(strings, json_values, max_size=2))
    own = f"{draw(spelled)}{draw(space)}:{draw(space)}{json.dumps(control)}"
    place = draw(st.integers(0, len(written)))
    before, behind = ",".join(written[:place]), ",".join(written[place:])
    if before:
        own = f",{draw(space)}{own}"
        behind = f"{draw(space)},{behind}" if behind else draw(space)
    elif behind:
        own = f"{own}{draw(space)},"
    return f"{draw(space)}{{{before}", own, f"{behind}}}{draw(space)}", members


@given(cached_bodies())
def test_cutting_leaves_the_rest_and_the_rest_reads_the_same(
    body: tuple[str, str, str, dict[str, Any]],
) -> None:
    before, own, behind, members = body
    parsed = parse(f"{before}{own}{behind}".encode())
    assert isinstance(parsed, Parsed)
    assert parsed.cut is not None
    assert parsed.cut == f"{before}{behind}".encode()
    assert json.loads(parsed.cut) == members
    assert repr(parsed.members) == repr(members_of(parsed.cut))


fragments = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"cache"', b":", b",", b"1", b"1e9", b'"', b"\\", b" ", b"\xff"]
    ),
    max_size=14,
).map(b"".join)


@given(st.binary(max_size=40) | fragments | fragments.map(lambda b: b'{"cache":{' + b + b"}}"))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parsed = parse(data)
    assert isinstance(parsed, (Parsed, Unreadable))
    if isinstance(parsed, Parsed) and parsed.cut is not None:
        assert json.loads(parsed.cut) is not None
