"""Any key is a name that every S3 server takes, and no two keys are the same one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from askonce.caching._s3_names import LONGEST_PATH, Names, checked_path
from askonce.errors import SettingsError

LEGAL = re.compile(r"(path/)?[A-Za-z0-9_-]{1,200}/[A-Za-z0-9_-]{1,200}\.askonce")
ANY_TEXT = st.text(st.characters(), max_size=60)  # surrogates, too
LOOK_ALIKES = st.text("a_:/%", max_size=6)
LONG = st.builds(lambda text, times: text * times, LOOK_ALIKES, st.integers(1, 400))
KEYS = ANY_TEXT | LOOK_ALIKES | LONG
NAMES = Names("path")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("askonce:0f3c", "path/askonce/0f3c.askonce"),
        ("team%2Fa/child:0f", "path/team_252Fa_2fchild/0f.askonce"),
        ("bare", "path/__/bare.askonce"),
        ("", "path/__/_.askonce"),
        (":", "path/_/_.askonce"),
        ("..", "path/__/_2e_2e.askonce"),
        ("a:b:c", "path/a/b_3ac.askonce"),
        ("ä\n", "path/__/_c3_a4_0a.askonce"),
    ],
)
def test_names_can_be_read(key: str, name: str) -> None:
    assert NAMES.of(key) == name


def test_without_a_path_a_name_begins_with_the_namespace() -> None:
    assert Names("").of("askonce:0f") == "askonce/0f.askonce"


@given(KEYS)
@example("x" * 2_000)
@example("\N{SNOWMAN}" * 2_000 + ":" + "\x00" * 2_000)
@example("\ud800")
def test_every_name_is_legal(key: str) -> None:
    name = NAMES.of(key)
    assert LEGAL.fullmatch(name)
    assert len(name) + LONGEST_PATH < 1024


@given(KEYS, KEYS)
@example("\ud800\udc00", "\U00010000")
@example("a" * 129, "a" * 130)
@example("", "_")
@example("a:b", "a_3ab")
@example("__:a", "a")
def test_different_keys_have_different_names(one: str, other: str) -> None:
    assert (NAMES.of(one) == NAMES.of(other)) is (one == other)


@given(KEYS, KEYS, st.sampled_from(":/"))
@example("a" * 200, "b", "/")
@example("a/" * 100, "b", ":")
@example("a:b", "c", "/")
def test_a_search_finds_every_key_with_its_prefix(beginning: str, rest: str, end: str) -> None:
    prefix = beginning + end
    name = NAMES.of(prefix + rest)
    assert any(name.startswith(search.beginning) for search in NAMES.searches(prefix))
    assert name.startswith(NAMES.searches(None)[0].beginning)


@given(KEYS, LOOK_ALIKES | LONG, st.sampled_from(":/"))
@example("ab:1", "a", "/")
@example("a_2f:1", "a", "/")
def test_a_certain_search_finds_no_other_key(key: str, beginning: str, end: str) -> None:
    prefix = beginning + end
    for search in NAMES.searches(prefix):
        if search.certain and NAMES.of(key).startswith(search.beginning):
            assert key.startswith(prefix)


@pytest.mark.parametrize(
    ("path", "checked"),
    [(None, ""), ("", ""), ("/", ""), ("a", "a"), ("/a/b/", "a/b"), ("x" * 600, "x" * 600)],
)
def test_a_path_stands_without_slashes_around_it(path: str | None, checked: str) -> None:
    assert checked_path(path) == checked


@pytest.mark.parametrize("path", ["a//b", "a/../b", ".", "./a", "x" * 601, "ä" * 301])
def test_a_path_that_servers_could_misread_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="ASKONCE_S3_PATH"):
        checked_path(path)
