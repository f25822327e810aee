"""The list syntax: what is heard, whatever a client writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.policy.fields import gather, members, names, seconds

MEMBERS = [
    ([], []),
    ([b""], []),
    ([b" , ,\t,"], []),
    ([b"no-store"], [("no-store", None)]),
    ([b"No-Store"], [("no-store", None)]),
    ([b"a,b"], [("a", None), ("b", None)]),
    ([b" a\t, \tb "], [("a", None), ("b", None)]),
    ([b"a", b"b"], [("a", None), ("b", None)]),
    ([b"a=1"], [("a", b"1")]),
    ([b"a = 1"], [("a", b"1")]),
    ([b"a=Case"], [("a", b"Case")]),
    ([b'a="1"'], [("a", b"1")]),
    ([b'a=""'], [("a", b"")]),
    ([b'a="x, no-store"'], [("a", b"x, no-store")]),
    ([b'a="x, y", b'], [("a", b"x, y"), ("b", None)]),
    ([rb'a="say \"hi, you\""'], [("a", b'say "hi, you"')]),
    ([rb'a="back\\", b'], [("a", b"back\\"), ("b", None)]),
    ([b"=1"], []),
]
UNREADABLE = [
    ([b"a="], [("a", b"")]),
    ([b"a=x y"], [("a", b"")]),
    ([b"a=b=c"], [("a", b"")]),
    ([b'a="x"y'], [("a", b"")]),
    ([b'a="x, no-store'], [("a", b""), ("no-store", None)]),
    ([b'a="x', b'no-store, b="'], [("a", b""), ("no-store", None), ("b", b"")]),
    ([rb'a="x\", no-store'], [("a", b""), ("no-store", None)]),
    ([rb'a="x\, no-store'], [("a", b""), ("no-store", None)]),
    ([rb'a=\"x", no-store'], [("a", b""), ("no-store", None)]),
]


@pytest.mark.parametrize(("lines", "heard"), MEMBERS)
def test_a_list_is_read_member_by_member(lines, heard):
    assert list(members(lines)) == heard


@pytest.mark.parametrize(("lines", "heard"), UNREADABLE)
def test_an_argument_that_cannot_be_read_is_empty_and_hides_nothing(lines, heard):
    assert list(members(lines)) == heard


@given(st.text(alphabet='a"\\,= ', max_size=30))
def test_a_stray_quote_before_it_never_hides_a_directive_on_a_later_line(noise):
    assert ("no-store", None) in list(members([noise.encode(), b"no-store"]))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_printable_text_survives_being_quoted(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert list(members([f'a="{quoted}", b'.encode()])) == [("a", text.encode()), ("b", None)]


@pytest.mark.parametrize(
    ("argument", "number"),
    [
        (b"0", 0.0),
        (b"007", 7.0),
        (b"1.5", 1.5),
        (b"0.001", 0.001),
        (b"2147483647.5", 2147483647.5),
        (b"2147483648.5", 2147483648.0),
        (b"9" * 400, 2147483648.0),
        (None, None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b"1e3", None),
        (b"1.", None),
        (b".5", None),
        (b"1 0", None),
        (b"5s", None),
        (b"nan", None),
        (b"inf", None),
        (b"1_0", None),
        ("٣".encode(), None),
        (b"1\n", None),
    ],
)
def test_a_number_of_seconds_has_digits_and_at_most_a_fraction(argument, number):
    assert seconds(argument) == number


def test_names_are_listed_in_lower_case_without_empty_members():
    assert names([b"Accept, ,X-Tenant", b"\tOrigin "]) == [b"accept", b"x-tenant", b"origin"]


def test_fields_are_gathered_by_lower_case_name_with_every_value_in_order():
    headers = ((b"Vary", b"a"), (b"age", b"1"), (b"etag", b"x"), (b"vary", b"b"))
    wanted = frozenset({b"vary", b"age", b"date"})
    assert gather(headers, wanted) == {b"vary": [b"a", b"b"], b"age": [b"1"]}
