"""Whether two requests agree where the answer depends on it."""

from __future__ import annotations

import pytest

from askonce.entry import Entry
from askonce.policy.vary import varied, varies_on, vary_matches

NAMED = [
    ([], []),
    ([b""], []),
    ([b"Origin"], [b"origin"]),
    ([b"origin, X-Tenant", b"Accept"], [b"origin", b"x-tenant", b"accept"]),
    ([b"origin, ORIGIN"], [b"origin"]),
    ([b"Accept-Encoding"], []),
    ([b"accept-encoding, origin"], [b"origin"]),
    ([b"*"], None),
    ([b"origin, *"], None),
    ([b"origin", b" * "], None),
    ([b"ori gin"], None),
    ([b'"origin"'], None),
]


def entry_for(vary: bytes, *request: tuple[bytes, bytes]) -> Entry:
    named = varies_on({b"vary": [vary]})
    assert named is not None
    return Entry("k", 0.0, 60.0, 200, (), b"", "plain", usage_due=True, vary=varied(named, request))


@pytest.mark.parametrize(("lines", "named"), NAMED)
def test_vary_names_the_fields(lines, named):
    assert varies_on({b"vary": lines}) == named


def test_no_vary_names_no_field():
    assert varies_on({}) == []


MATCHES = [
    (b"origin", [(b"origin", b"a")], [(b"origin", b"a")], True),
    (b"origin", [(b"origin", b"a")], [(b"origin", b"b")], False),
    (b"origin", [(b"origin", b"a")], [(b"origin", b"A")], False),
    (b"origin", [(b"origin", b"a")], [], False),
    (b"origin", [], [(b"origin", b"a")], False),
    (b"origin", [], [], True),
    (b"origin", [], [(b"origin", b"")], False),
    (b"origin", [(b"Origin", b"a")], [(b"ORIGIN", b"a")], True),
    (b"a", [(b"a", b"1"), (b"a", b"2")], [(b"a", b"1"), (b"a", b"2")], True),
    (b"a", [(b"a", b"1"), (b"a", b"2")], [(b"a", b"2"), (b"a", b"1")], False),
    (b"a", [(b"a", b"1"), (b"a", b"2")], [(b"a", b"1")], False),
    (b"a", [(b"a", b"1")], [(b"a", b"1"), (b"b", b"2")], True),
    (b"a, b", [(b"a", b"1"), (b"b", b"2")], [(b"b", b"2"), (b"a", b"1")], True),
    (b"a, b", [(b"a", b"1"), (b"b", b"2")], [(b"b", b"3"), (b"a", b"1")], False),
    (b"accept-encoding", [(b"accept-encoding", b"br")], [], True),
    (b"cookie", [(b"cookie", b"s=1")], [(b"cookie", b"s=1")], True),
    (b"cookie", [(b"cookie", b"s=1")], [(b"cookie", b"s=2")], False),
    (b"cookie", [(b"cookie", b"s=1")], [], False),
]


@pytest.mark.parametrize(("vary", "stored", "asking", "matches"), MATCHES)
def test_an_entry_matches_a_request_that_says_the_same(vary, stored, asking, matches):
    assert vary_matches(entry_for(vary, *stored), tuple(asking)) is matches


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
    ],
)
def test_no_entry_holds_a_credential(name):
    assert b"secret" not in repr(entry_for(name, (name, b"secret")).vary).encode()


def test_other_fields_are_held_as_they_came():
    assert entry_for(b"Origin", (b"origin", b"a")).vary == ((b"origin", (b"a",)),)


def test_an_entry_without_vary_matches_every_request():
    assert vary_matches(entry_for(b"accept-encoding"), ((b"origin", b"a"),))
