from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.calls.base import KeyOptions
from askonce.calls.keys import (
    FORMAT,
    Asker,
    Grammar,
    KeyMaker,
    Place,
    digest,
    grouped,
    physical_namespace,
)
from askonce.calls.parse import Parsed, parse

GRAMMAR = Grammar(
    ignored={"stream": "the shape only"},
    ignored_when_shared={"user": "says who asks"},
    numeric=frozenset({"temperature", "seed"}),
    numeric_maps=frozenset({"logit_bias"}),
    ordered=frozenset({"tools"}),
)
PLAIN = KeyOptions()


def key_of(body: str, options: KeyOptions = PLAIN) -> bytes | None:
    parsed = parse(body.encode())
    assert isinstance(parsed, Parsed)
    return digest(parsed.members, GRAMMAR, options)


SAME = {
    "an ignored member": ('{"a":1}', '{"a":1,"stream":true}'),
    "an ignored member's value": ('{"a":1,"stream":false}', '{"a":1,"stream":true}'),
    "the order of members": ('{"a":1,"b":2}', '{"b":2,"a":1}'),
    "the order of inner members": ('{"m":[{"a":1,"b":2}]}', '{"m":[{"b":2,"a":1}]}'),
    "the order of ordered members": ('{"tools":[],"a":1}', '{"a":1,"tools":[]}'),
    "white space": ('{"a":1}', ' { "a" : 1 } '),
    "escapes": ('{"a":"é"}', '{"\\u0061":"\\u00e9"}'),
    "a numeric member's spelling": ('{"temperature":1}', '{"temperature":1.0}'),
    "a large numeric member": ('{"seed":1e30}', '{"seed":1000000000000000000000000000000}'),
    "a map of numbers": ('{"logit_bias":{"1":-1e1,"2":5}}', '{"logit_bias":{"2":5.0,"1":-10}}'),
}

DIFFERENT = {
    "a value": ('{"a":1}', '{"a":2}'),
    "a type": ('{"a":1}', '{"a":"1"}'),
    "absent and null": ('{"a":1}', '{"a":1,"b":null}'),
    "absent and empty": ('{"a":1}', '{"a":1,"tools":[]}'),
    "a bool and a number": ('{"temperature":1}', '{"temperature":true}'),
    "a number's spelling elsewhere": ('{"a":1}', '{"a":1.0}'),
    "an unknown member": ('{"a":1}', '{"a":1,"unheard_of":1}'),
    "who asks": ('{"a":1,"user":"x"}', '{"a":1,"user":"y"}'),
    "the order in a schema": ('{"tools":[{"a":1,"b":2}]}', '{"tools":[{"b":2,"a":1}]}'),
    "the order of a list": ('{"a":[1,2]}', '{"a":[2,1]}'),
    "a map's names": ('{"logit_bias":{"1":5}}', '{"logit_bias":{"2":5}}'),
    "no map": ('{"logit_bias":{}}', '{"logit_bias":[]}'),
    "an ignored name further in": ('{"a":{"stream":1}}', '{"a":{}}'),
    "names' case": ('{"a":1}', '{"A":1}'),
    "composed and decomposed": ('{"a":"\\u00e9"}', '{"a":"e\\u0301"}'),
}


@pytest.mark.parametrize("pair", SAME.values(), ids=SAME.keys())
def test_what_means_nothing_is_not_keyed(pair: tuple[str, str]) -> None:
    assert key_of(pair[0]) == key_of(pair[1])
    assert key_of(pair[0]) is not None


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_an_app_can_tell_apart_is_keyed(pair: tuple[str, str]) -> None:
    assert key_of(pair[0]) != key_of(pair[1])


def test_all_these_bodies_differ_from_each_other() -> None:
    bodies = {body for pair in DIFFERENT.values() for body in pair}
    assert len({key_of(body) for body in bodies}) == len(bodies)


def test_who_asks_is_left_out_when_callers_share() -> None:
    shared = KeyOptions(share=True)
    assert key_of('{"a":1,"user":"x"}', shared) == key_of('{"a":1}', shared)
    assert key_of('{"a":1,"stream":true}', shared) == key_of('{"a":1}', shared)


def test_the_operator_may_leave_more_out() -> None:
    options = KeyOptions(ignored_params=frozenset({"trace_id"}))
    assert key_of('{"a":1,"trace_id":7,"stream":true}', options) == key_of('{"a":1}', options)
    assert key_of('{"a":1,"trace_id":7}') != key_of('{"a":1}')


def test_a_body_without_an_exact_form_has_no_digest() -> None:
    assert key_of('{"a":18446744073709551616}') is None
    assert key_of('{"a":18446744073709551615}') is not None


def test_the_members_are_left_as_they_are() -> None:
    members: dict[str, Any] = {"temperature": 1.0, "tools": [], "model": "a", "stream": True}
    copy = dict(members)
    digest(members, GRAMMAR, KeyOptions(share=True, caching_groups=(("a",),)))
    assert members == copy


GROUPS = (("gpt-a", "gpt-b"), ("gpt-c", "gpt-b"))


def test_models_of_one_group_share_answers() -> None:
    options = KeyOptions(caching_groups=GROUPS)
    keys = {name: key_of(f'{{"model":"gpt-{name}"}}', options) for name in "abcd"}
    assert keys["a"] == keys["b"]
    assert len(set(keys.values())) == 3
    assert key_of('{"model":"gpt-a"}') not in keys.values()


def test_a_model_that_is_no_name_is_in_no_group() -> None:
    options = KeyOptions(caching_groups=GROUPS)
    assert key_of('{"model":["gpt-a"]}', options) == key_of('{"model":["gpt-a"]}')
    assert key_of("{}", options) == key_of("{}")


def test_a_group_is_told_by_its_names_not_by_their_order() -> None:
    assert grouped("a", (("a", "b"),)) == grouped("b", (("b", "a"),))
    assert grouped("z", (("a", "b"),)) == "z"


scalars = st.sampled_from(["0", "1", "1.0", "1e0", "10e-1", '"1"', "true", "null", "[1]", "{}"])
names = st.sampled_from(["a", "stream", "temperature", "tools", "logit_bias", "model"])
bodies = st.dictionaries(names, scalars, max_size=3).map(
    lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"
)


def seen_by_app(body: str) -> frozenset[Any]:
    """The members as another parser reads them, literals kept but in the numeric member."""
    members = json.loads(body, parse_float=lambda text: ("float", text))
    numbers = ("1", "1.0", "1e0", "10e-1")
    members.pop("stream", None)
    if members.get("temperature") in [("float", text) for text in numbers]:
        members["temperature"] = 1
    return frozenset((name, repr(value)) for name, value in members.items())


@given(bodies, bodies)
def test_bodies_share_a_digest_exactly_if_an_app_cannot_tell_them_apart(
    first: str, second: str
) -> None:
    assert (key_of(first) == key_of(second)) == (seen_by_app(first) == seen_by_app(second))


BODY = b"\x00" * 32
ASKER = Asker("ns", None, ((b"authorization", b"Bearer a"),), ("identity", "x"))
PLACE = Place("POST", b"host", "/v1/chat/completions", b"a=b", b"application/json", b"gzip")
AZURE = "/openai/deployments/{}/chat/completions"


def entry_key(
    asker: Asker, place: Place, call: str, body: bytes | str, options: KeyOptions = PLAIN
) -> str:
    return KeyMaker(asker, place, call, options).key(body)


def variant(**changes: Any) -> str:
    asker = {name: getattr(ASKER, name) for name in ASKER.__struct_fields__}
    place = {name: getattr(PLACE, name) for name in PLACE.__struct_fields__}
    asker.update({name: value for name, value in changes.items() if name in asker})
    place.update({name: value for name, value in changes.items() if name in place})
    return entry_key(Asker(**asker), Place(**place), changes.get("call", "completion"), BODY)


VARIANTS: list[dict[str, Any]] = [
    {},
    {"namespace": "other"},
    {"child": ""},
    {"child": "x"},
    {"namespace": "ns/x"},
    {"namespace": "ns/x", "child": "y"},
    {"namespace": "ns", "child": "x/y"},
    {"credentials": ()},
    {"credentials": ((b"authorization", b"Bearer b"),)},
    {"credentials": ((b"x-api-key", b"Bearer a"),)},
    {"credentials": ((b"authorization", b"Bearer a"), (b"cookie", b"c=d"))},
    {"caller": ()},
    {"caller": ("identity", "y")},
    {"caller": ("identityx",)},
    {"caller": ("x", "identity")},
    {"keyed": ((b"openai-beta", b"1"),)},
    {"keyed": ((b"openai-beta", b""),)},
    {"keyed": ASKER.credentials},
    {"credentials": (), "keyed": ASKER.credentials},
    {"method": "QUERY"},
    {"host": b"other"},
    {"path": "/v1/completions"},
    {"path": ""},
    {"raw_path": b"/v1/chat%2Fcompletions"},
    {"root_path": "/v1"},
    {"root_path": "/v1", "path": "/chat/completions"},
    {"query": b""},
    {"query": b"a=c"},
    {"content_type": b""},
    {"content_encoding": b""},
    {"content_type": b"gzip", "content_encoding": b"application/json"},
    {"call": "text_completion"},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=repr)
def test_everything_about_a_request_is_in_its_key(changes: dict[str, Any]) -> None:
    assert [variant(**other) for other in VARIANTS].count(variant(**changes)) == 1


WORDS = [
    KeyOptions(),
    KeyOptions(share=True),
    KeyOptions(ignored_params=frozenset({"temperature"})),
    KeyOptions(ignored_params=frozenset({"temperature", "top_p"})),
    KeyOptions(share=True, ignored_params=frozenset({"temperature"})),
]


def test_what_an_operators_word_left_out_is_not_found_once_the_word_has_changed() -> None:
    keys = {entry_key(ASKER, PLACE, "completion", BODY, options) for options in WORDS}
    assert len(keys) == len(WORDS)


def test_a_digest_and_an_operators_own_key_never_meet() -> None:
    assert entry_key(ASKER, PLACE, "completion", b"abc") != entry_key(
        ASKER, PLACE, "completion", "abc"
    )


def test_a_key_is_the_namespace_and_a_hash() -> None:
    assert re.fullmatch(r"ns:[0-9a-f]{64}", variant())
    assert re.fullmatch(r"ns/a%3Ab:[0-9a-f]{64}", variant(child="a:b"))


def test_keys_stay_what_they_are_until_the_format_number_changes() -> None:
    body = key_of('{"model":"a","n":0.5,"temperature":0.50,"seed":1e30,"tools":[{"b":1,"a":2}]}')
    assert body is not None
    key = entry_key(ASKER, PLACE, "completion", body)
    assert (FORMAT, key) == (
        1,
        "ns:c15c988d25b7047a1dfb2557a9a910733fbd23983399f1c7e3d1747b3296178e",
    )


def test_a_python_call_never_meets_a_request() -> None:
    python = entry_key(Asker("ns", caller=("caller", "x")), Place(), "completion", BODY)
    request = Place("POST", b"", "/v1/chat/completions")
    assert python != entry_key(Asker("ns", caller=("caller", "x")), request, "completion", BODY)


def azure_key(deployment: str, groups: tuple[tuple[str, ...], ...] = GROUPS, head: str = "") -> str:
    place = Place("POST", b"h", head + AZURE.format(deployment), deployment=deployment)
    options = KeyOptions(caching_groups=groups)
    return entry_key(Asker("ns"), place, "completion", BODY, options)


def test_deployments_of_one_group_share_answers() -> None:
    assert azure_key("gpt-a") == azure_key("gpt-b")
    assert len({azure_key(name) for name in ("gpt-a", "gpt-c", "gpt-d")}) == 3
    assert azure_key("gpt-a", ()) != azure_key("gpt-b", ())


def test_only_the_deployment_itself_is_replaced_in_the_path() -> None:
    heads = ["", "/deployments/gpt-a", "/deployments/gpt-b"]
    assert len({azure_key("gpt-a", head=head) for head in heads}) == 3
    assert azure_key("gpt-a", head=heads[1]) == azure_key("gpt-b", head=heads[1])


def test_an_ungrouped_deployment_is_keyed_like_any_path() -> None:
    plain = Place("POST", b"h", AZURE.format("gpt-d"))
    assert azure_key("gpt-d") == entry_key(
        Asker("ns"), plain, "completion", BODY, KeyOptions(caching_groups=GROUPS)
    )


@pytest.mark.parametrize("text", ["\ud800", "é", "\x00"])
def test_odd_text_is_keyed_and_never_raises(text: str) -> None:
    changes = ({"path": text}, {"caller": (text,)}, {"child": text}, {"namespace": text})
    keys = {variant(**change) for change in changes}
    assert len(keys) == 4
    assert entry_key(ASKER, PLACE, "completion", text) not in keys


@pytest.mark.parametrize("other", ["?", "\ufffd", ""])
def test_a_lone_surrogate_is_taken_for_nothing_else(other: str) -> None:
    assert variant(path="\ud800") != variant(path=other)
    assert variant(caller=("\ud800",)) != variant(caller=(other,))
    assert variant(namespace="\ud800") != variant(namespace=other)


@pytest.mark.parametrize(
    ("namespace", "child", "written"),
    [
        ("askonce", None, "askonce"),
        ("a-b_c.d~e", None, "a-b_c.d~e"),
        ("a:b", None, "a%3Ab"),
        ("a/b", None, "a%2Fb"),
        ("a*?[{}]", None, "a%2A%3F%5B%7B%7D%5D"),
        ("100%", None, "100%25"),
        ("a b\n", None, "a%20b%0A"),
        ("é", None, "%C3%A9"),
        ("", None, ""),
        ("a", "", "a/"),
        ("a", "b/c:d", "a/b%2Fc%3Ad"),
    ],
)
def test_a_namespace_is_percent_encoded(namespace: str, child: str | None, written: str) -> None:
    assert physical_namespace(namespace, child) == written


spaces = st.text(st.characters(codec="utf-8"), max_size=8)


@given(spaces, st.none() | spaces)
def test_a_namespace_can_be_read_back_and_holds_nothing_special(
    namespace: str, child: str | None
) -> None:
    written = physical_namespace(namespace, child)
    assert re.fullmatch(r"[A-Za-z0-9._~%-]*(/[A-Za-z0-9._~%-]*)?", written)
    first, slash, rest = written.partition("/")
    assert (unquote(first), unquote(rest) if slash else None) == (namespace, child)
