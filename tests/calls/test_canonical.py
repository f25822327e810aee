from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import jiter
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from askonce.calls.canonical import (
    canonical_form,
    exact,
    exact_values,
    identity,
    is_json,
    packed,
)


def read(text: str) -> Any:
    return jiter.from_json(text.encode(), float_mode="lossless-float")


def form(value: Any) -> bytes | None:
    return canonical_form({"it": value}, {})


UNLIKE = [
    "0",
    "1",
    "-1",
    "1.0",
    "1.00",
    "1e0",
    "1E0",
    "1e400",
    "1e401",
    "0.0",
    "-0.0",
    '"1"',
    '"1.0"',
    '""',
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1]",
    "[[1]]",
    "[1,1]",
    '{"1":1}',
    '{"a":null}',
    '["a","b"]',
    '["ab"]',
    '["a",["b"]]',
    "9223372036854775808",
    "18446744073709551615",
    "9007199254740993",
    "9007199254740992",
]


@pytest.mark.parametrize("first", range(len(UNLIKE)))
def test_unlike_values_have_unlike_forms(first: int) -> None:
    forms = [form(read(text)) for text in UNLIKE]
    assert forms.count(forms[first]) == 1


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(2**64, id="an integer above 64 bits"),
        pytest.param(-(2**63) - 1, id="an integer below 64 bits"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param(object(), id="an object"),
    ],
)
def test_a_value_without_an_exact_form_has_none(value: Any) -> None:
    assert form([value]) is None
    assert canonical_form({}, {"it": [value]}) is None


def test_nesting_without_end_has_no_form() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert form(endless) is None


ONE = ["1", "1.0", "1.00", "1e0", "1E0", "1e-0", "10e-1", "0.1e1", "100e-2", "0.001E+3"]
EQUALS = [
    ONE,
    ["0", "-0", "0.0", "-0.0", "0e5", "-0E-5", "0e99999999999999999999999", "0.000"],
    ["0.2", "2e-1", "0.20", "20e-2"],
    ["-0.2", "-2e-1"],
    ["1000000000000000000", "1e18", "1.0e18", "10E17"],
    ["999999999999999999", "999999999999999999.0", "99999999999999999.9e1"],
    ["18446744073709551616", "18446744073709551616.0", "1844674407370955161.6e1"],
    ["-1e30", "-1000000000000000000000000000000"],
    ["1e999999999", "10e999999998"],
    ["1e-999999999", "0.1e-999999998"],
    ["1e9999999999999999999999"],
    ["1e9999999999999999999998"],
    ["true"],
    ["false"],
    ["null"],
    ['"1"'],
    ['"0"'],
    ["[1]"],
    ["[1.0]"],
]


@pytest.mark.parametrize("row", EQUALS, ids=lambda row: row[0])
def test_a_documented_number_is_its_exact_value(row: list[str]) -> None:
    forms = {form(exact(read(text))) for text in row}
    others = {form(exact(read(text))) for other in EQUALS if other is not row for text in other}
    assert len(forms) == 1
    assert None not in forms
    assert not forms & others


def test_a_python_float_is_the_number_that_json_would_write() -> None:
    assert exact(0.1) == exact(read("0.1"))
    assert exact(1e300) == exact(read("1e300"))
    assert exact(2.0) == 2
    assert exact(float("inf")) == float("inf")


def test_a_number_too_long_to_write_out_is_left_alone() -> None:
    huge = 10**700
    assert exact(huge) is huge
    assert form(exact(huge)) is None


def test_an_exponent_of_any_length_is_kept_whatever_python_allows() -> None:
    allowed = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        forms = {form(exact(read(f"{n}e{'9' * 4000}"))) for n in (1, 2, 0)}
    finally:
        sys.set_int_max_str_digits(allowed)
    assert len(forms) == 3
    assert form(0) in forms


numerals = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**21).map(str) | st.sampled_from(["0", "1", "10", "100"]),
    st.sampled_from(["", ".0", ".5", ".50", ".05", ".000000000000000000001"]),
    st.sampled_from(["", "e0", "E1", "e+2", "e-1", "e-2", "e18", "e-18", "e300"]),
)


@given(numerals, numerals)
@example("9" * 18, "9" * 18 + ".0")
@example("9" * 19, "9" * 19 + ".0")
def test_numbers_have_one_form_exactly_if_they_are_equal(first: str, second: str) -> None:
    same = form(exact(read(first))) == form(exact(read(second)))
    assert same == (Decimal(first) == Decimal(second))


@given(numerals.filter(Decimal), st.integers(0, 30))
def test_another_spelling_of_a_number_has_the_same_form(text: str, zeros: int) -> None:
    sign, digits, power = Decimal(text).as_tuple()
    mantissa = "-" * sign + "".join(map(str, digits)) + "0" * zeros
    spelled = jiter.LosslessFloat(f"{mantissa}e{int(power) - zeros}".encode())
    assert form(exact(spelled)) == form(exact(read(text)))


def test_a_map_of_numbers_is_normalised_value_by_value() -> None:
    assert exact_values(read('{"50256":-1e2}')) == {"50256": -100}
    assert exact_values([1.0]) == [1.0]


def test_no_kind_of_extension_equals_another() -> None:
    numeral = read("0.5")
    number = exact(numeral)
    assert isinstance(number, Ext)
    same_text = jiter.LosslessFloat(number.data)
    group = Ext(identity(("x",)).code, number.data)
    assert len({form(number), form(same_text), form(group)}) == 3


def test_an_identity_is_its_set_of_names() -> None:
    assert identity(("a", "b")) == identity(("b", "a", "b"))
    assert identity(("a", "b")) != identity(("ab",))
    assert packed(identity(("a",))) != packed("a")


def test_order_counts_inside_ordered_members_only() -> None:
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert canonical_form({"x": one, "y": 1}, {}) == canonical_form({"y": 1, "x": other}, {})
    assert canonical_form({}, {"x": one}) != canonical_form({}, {"x": other})
    assert canonical_form({}, {"x": 1, "y": 2}) == canonical_form({}, {"y": 2, "x": 1})


def test_a_member_is_not_taken_for_one_of_the_other_group() -> None:
    assert canonical_form({"x": 1}, {}) != canonical_form({}, {"x": 1})


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda schema: schema, id="at the top"),
        pytest.param(lambda schema: {"schema": schema}, id="in an object"),
        pytest.param(lambda schema: [1, {"x": [schema]}], id="in a list"),
        pytest.param(lambda schema: {"$defs": {"it": schema}, "a": 1}, id="among definitions"),
    ],
)
def test_order_counts_in_an_unknown_member_that_holds_a_schema(wrap: Any) -> None:
    one = {"properties": {"a": 1, "b": 2}}
    other = {"properties": {"b": 2, "a": 1}}
    assert form(wrap(one)) != form(wrap(other))
    assert form(wrap(one)) == form(wrap(dict(one)))


def test_a_schema_in_one_member_leaves_the_others_without_order() -> None:
    schema = {"properties": {}}
    one = canonical_form({"guide": schema, "x": {"a": 1, "b": 2}}, {})
    other = canonical_form({"x": {"b": 2, "a": 1}, "guide": schema}, {})
    assert one == other


def test_the_word_properties_in_a_text_is_no_schema() -> None:
    assert form({"a": "properties", "b": 1}) == form({"b": 1, "a": "properties"})


def array(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def members(names: list[str], values: list[str]) -> str:
    pairs = zip(names, values, strict=False)
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


names = st.permutations(["a", "b", "properties"])
scalars = st.sampled_from(
    ["0", "1", "-0", "1.0", "1e0", '"1"', '"a"', "true", "null", '"properties"']
)
texts = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(array)
        | st.builds(members, names, st.lists(inner, max_size=3))
    ),
    max_leaves=6,
)


def seen_by_app(text: str) -> Any:
    """What an app can see, told by another parser: types, literals, order only near a schema."""
    value = json.loads(
        text, parse_float=lambda t: ("float", t), parse_int=lambda t: ("int", int(t))
    )
    return tagged(value, in_order=has_schema(value))


def has_schema(value: Any) -> bool:
    if isinstance(value, dict):
        return "properties" in value or any(has_schema(inner) for inner in value.values())
    return isinstance(value, list) and any(has_schema(inner) for inner in value)


def tagged(value: Any, *, in_order: bool) -> Any:
    if isinstance(value, dict):
        inside = [(name, tagged(inner, in_order=in_order)) for name, inner in value.items()]
        return ("object", tuple(inside) if in_order else frozenset(inside))
    if isinstance(value, list):
        return ("array", tuple(tagged(inner, in_order=in_order) for inner in value))
    return (type(value).__name__, value)


@given(texts, texts)
def test_values_share_a_form_exactly_if_an_app_cannot_tell_them_apart(
    first: str, second: str
) -> None:
    same = form(read(first)) == form(read(second))
    assert same == (seen_by_app(first) == seen_by_app(second))


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 10**40, 1.5, "a", [], {}, {"a": [1, {"b": None}]}, jiter.LosslessFloat(b"1.0")],
    ids=repr,
)
def test_json_values_are_json(value: Any) -> None:
    assert is_json(value)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [(1, 2), {1: "a"}, {"a": {1}}, [float("nan")], float("inf"), Decimal("1.5"), b"a", Text("a")],
    ids=repr,
)
def test_what_json_does_not_have_is_not_json(value: Any) -> None:
    assert not is_json(value)
    assert not is_json({"a": [value]})


def test_endless_values_are_not_json() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert not is_json(endless)
