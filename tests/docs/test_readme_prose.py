"""What the README says between its blocks agrees with the code."""

from __future__ import annotations

import re
import tomllib

from askonce import CacheSettings
from askonce.calls.params import IGNORED, IGNORED_WHEN_SHARED
from askonce.calls.scope import CREDENTIALS
from askonce.policy.decide import _FAILURES
from support.readme import PROSE, ROOT, TEXT, codes


def test_no_figure_is_left_out() -> None:
    assert re.findall(r"@@\w+@@", TEXT) == [], "fill them in from: python -m tests.bench"


def test_the_way_to_measure_is_there() -> None:
    assert "python -m tests.bench" in codes(PROSE)
    assert (ROOT / "tests" / "bench" / "__main__.py").is_file()


def test_every_file_that_is_linked_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", TEXT)
    paths = [path for link in links for path in link if path and "://" not in path]
    assert "sample_app/screenshot.png" in paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_link_by_reference_has_its_target() -> None:
    used = set(re.findall(r"\]\[([\w-]+)\]", PROSE))
    assert used == set(re.findall(r"^\[([\w-]+)\]: https://", TEXT, re.MULTILINE))


def _item(beginning: str) -> str:
    """The list item that begins so."""
    [item] = re.findall(
        rf"^- {re.escape(beginning)}.*?(?=\n- |\n\n)", TEXT, re.DOTALL | re.MULTILINE
    )
    return item


def test_what_tells_callers_apart_is_named_on_the_first_screen() -> None:
    named = {name.lower() for name in codes(_item("An answer is given only to the caller"))}
    expected = {name.decode() for name in CREDENTIALS} | set(IGNORED_WHEN_SHARED)
    assert named == expected | {'scope["user"]'}


def test_what_is_left_out_of_the_key_is_named() -> None:
    left_out = _item("**What is the same.**").partition("Left out are only")[2]
    assert set(codes(left_out.partition("An unknown")[0])) == set(IGNORED)


def test_the_failures_that_a_stale_answer_stands_in_for_are_named() -> None:
    named = re.findall(r"\b[45]\d\d\b", _item("**The app fails.**"))
    assert {int(status) for status in named} | {None} == _FAILURES


def test_all_variables_are_settings() -> None:
    fields = {name.lower() for name in re.findall(r"\bASKONCE_([A-Z_]+)\b", TEXT)} - {"tttl"}
    assert fields <= set(CacheSettings.model_fields)


def test_all_extras_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = set(re.findall(r"'\.\[(\w+)\]'", TEXT))
    assert {"cli", "disk"} < named <= project["optional-dependencies"].keys()
