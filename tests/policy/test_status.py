"""Every row of what a client hears, byte for byte."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.policy.status import age, forward, hit, refused

ROWS = [
    (hit(3540.0), b"askonce; hit; ttl=3540"),
    (hit(-12.0, stale=True), b"askonce; hit; ttl=-12; detail=stale"),
    (
        forward("stale", status=503, ttl=-12.0, detail="stale-if-error"),
        b"askonce; fwd=stale; fwd-status=503; ttl=-12; detail=stale-if-error",
    ),
    (
        forward("stale", ttl=-12.0, detail="stale-if-error"),
        b"askonce; fwd=stale; ttl=-12; detail=stale-if-error",
    ),
    (hit(3540.0, detail="semantic"), b"askonce; hit; ttl=3540; detail=semantic"),
    (forward("miss"), b"askonce; fwd=miss"),
    (forward("miss", stored=True), b"askonce; fwd=miss; stored"),
    (forward("miss", collapsed=True), b"askonce; fwd=miss; collapsed"),
    (forward("stale"), b"askonce; fwd=stale"),
    (forward("request"), b"askonce; fwd=request"),
    (forward("vary-miss"), b"askonce; fwd=vary-miss"),
    (forward("partial"), b"askonce; fwd=partial"),
    (forward("bypass", detail="no-json"), b"askonce; fwd=bypass; detail=no-json"),
    (forward("miss", detail="backend-error"), b"askonce; fwd=miss; detail=backend-error"),
    (refused(), b"askonce; detail=only-if-cached"),
    # a key, where the operator exposes it, stands last
    (hit(5.0, key="askonce:ab"), b'askonce; hit; ttl=5; key="askonce:ab"'),
    (
        hit(-5.0, stale=True, key="askonce:ab"),
        b'askonce; hit; ttl=-5; detail=stale; key="askonce:ab"',
    ),
    (
        forward("miss", stored=True, collapsed=True, key="k"),
        b'askonce; fwd=miss; stored; collapsed; key="k"',
    ),
    (refused(key="k"), b'askonce; detail=only-if-cached; key="k"'),
    (hit(-5.0, stale=True, detail="semantic"), b"askonce; hit; ttl=-5; detail=semantic"),
]


@pytest.mark.parametrize(("member", "heard"), ROWS)
def test_a_client_hears(member, heard):
    assert member == heard


@pytest.mark.parametrize(
    ("seconds", "whole"),
    [(0.0, 0), (0.9, 0), (-0.5, -1), (11.5, 11), (-11.5, -12), (-12.0, -12), (2.0**31, 2**31)],
)
def test_times_are_rounded_down(seconds, whole):
    assert hit(seconds) == b"askonce; hit; ttl=%d" % whole
    assert hit(seconds, stale=True) == b"askonce; hit; ttl=%d; detail=stale" % whole
    assert forward("stale", ttl=seconds) == b"askonce; fwd=stale; ttl=%d" % whole
    assert age(seconds) == b"%d" % max(0, whole)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("finish-reason", b"finish-reason"),
        ("*", b"*"),
        ("a:b/c", b"a:b/c"),
        ("", b'""'),
        ("503", b'"503"'),
        ("two words", b'"two words"'),
        ('say "hi"', rb'"say \"hi\""'),
        ("back\\slash", rb'"back\\slash"'),
        ("käse", b'"k?se"'),
        ("a\r\nset-cookie: x", b'"a??set-cookie: x"'),
        ("token\n", b'"token?"'),
        ("\x7f\x00", b'"??"'),
        ("\ud800", b'"?"'),
    ],
)
def test_detail_is_a_token_or_an_escaped_string(text, written):
    assert forward("bypass", detail=text) == b"askonce; fwd=bypass; detail=" + written


# RFC 8941 section 3.3.3 and 3.3.4
ITEM = re.compile(rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|[A-Za-z*][\w!#$%&\'*+\-.^`|~:/]*')


@given(st.text(), st.text())
def test_any_text_is_written_as_a_structured_field(detail, key):
    written = hit(1.0, detail=detail, key=key).removeprefix(b"askonce; hit; ttl=1; detail=")
    told = ITEM.match(written)
    assert told
    shown = written[told.end() :].removeprefix(b"; key=")
    assert shown.startswith(b'"')
    assert ITEM.fullmatch(shown)
