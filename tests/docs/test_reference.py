"""The documents made from the settings are up to date, complete and usable."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from askonce._documents import reference
from askonce._documents.profiles import PROFILES
from askonce._settings import values
from askonce._settings.groups import GROUPS
from askonce._settings.names import FALLBACKS, OTHER_VARIABLES
from askonce.settings import CacheSettings
from support.environment import isolate

SETTINGS = Path(__file__).parents[2] / "settings"
PROFILE_FILES = sorted((SETTINGS / "profiles").glob("*.env"))
ROW = re.compile(r"^\| `(ASKONCE_\w+)` +\| (.+?) +\| (.+?) +\| (.+) \|$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


@pytest.mark.parametrize("path", reference.documents())
def test_a_generated_file_is_up_to_date(path: str) -> None:
    made = reference.documents()[path]
    assert (SETTINGS / path).read_text("utf-8") == made, "run: askonce settings --write settings/"


def test_nothing_else_lies_beside_the_generated_files() -> None:
    there = {str(path.relative_to(SETTINGS)) for path in SETTINGS.rglob("*") if path.is_file()}
    assert there == set(reference.documents())


@pytest.mark.parametrize("field", CacheSettings.model_fields)
def test_every_setting_is_described(field: str) -> None:
    info = CacheSettings.model_fields[field]
    assert info.description
    assert info.description.endswith(".")
    rows = [
        row for row in ROW.findall(reference.reference()) if row[0] == f"ASKONCE_{field.upper()}"
    ]
    assert len(rows) == 1
    assert info.description in rows[0][3]


def test_every_group_has_a_title() -> None:
    titles = re.findall(r"^## (.+)$", reference.reference(), re.MULTILINE)
    assert titles[-len(GROUPS) :] == [
        "What is cached",
        "How long answers are fresh",
        "Who shares answers",
        "What is kept",
        "What happens at the same time",
        "Redis",
        "S3",
        "Disk, and answering by meaning",
        "What is seen",
    ]


ROWS = {
    "ASKONCE_TTL": ("seconds, 0 or more, fractions allowed", "`3600`"),
    "ASKONCE_MAX_TTL": ("seconds, 0 or more, fractions allowed", "none"),
    "ASKONCE_MAX_REQUEST_BYTES": ("bytes, 1 or more, also as `8MiB`", "`32MiB`"),
    "ASKONCE_MEMORY_MAX_ENTRIES": ("a whole number, 1 or more", "`100000`"),
    "ASKONCE_TYPE": ("`local`, `disk`, `redis`, `s3` or `dual`", "`local`"),
    "ASKONCE_KEYED_HEADERS": ("a list of header names", "empty"),
    "ASKONCE_ROUTES": ("a JSON object, path to `completion` or `text_completion`", "empty"),
    "ASKONCE_IGNORED_SET_COOKIES": ("a list of cookie names", "`__cf_bm,_cfuvid,__cflb`"),
    "ASKONCE_PASSWORD": ("a secret", "none"),
    "ASKONCE_S3_VERIFY": ("`true`, `false` or the path of a CA bundle", "none"),
    "ASKONCE_SSL_CHECK_HOSTNAME": ("`true` or `false`", "`true`"),
}


@pytest.mark.parametrize("variable", ROWS)
def test_a_row_says_type_unit_and_default(variable: str) -> None:
    found = {
        name: (takes, default) for name, takes, default, _ in ROW.findall(reference.reference())
    }
    assert found[variable] == ROWS[variable]


def test_what_is_for_later_is_said() -> None:
    rows = {name: text for name, _, _, text in ROW.findall(reference.reference())}
    for row in values.RESERVED:
        text = rows[f"ASKONCE_{row.field.upper()}"]
        word = f"`{values.as_word(row.value)}`"
        assert (
            word in text.partition("Reserved for ")[2] or "*Reserved for a later version.*" in text
        )
    assert "Reserved" not in rows["ASKONCE_TTL"]


def test_the_other_variables_are_named() -> None:
    others = [*OTHER_VARIABLES, *(fallback.variable for fallback in FALLBACKS.values())]
    assert [name for name in others if f"`{name}`" not in reference.reference()] == []


def test_a_table_cell_cannot_break_its_table() -> None:
    assert reference._table(("a", "b"), [("x|y", "z")]) == (
        "| a    | b |\n| ---- | - |\n| x\\|y | z |"
    )


@pytest.mark.parametrize("path", PROFILE_FILES, ids=lambda path: path.stem)
def test_every_profile_loads_and_chooses_its_backend(path: Path) -> None:
    settings = CacheSettings(_env_file=path)
    assert settings.type == path.stem.partition("-")[0]


@pytest.mark.parametrize("path", PROFILE_FILES, ids=lambda path: path.stem)
def test_what_a_profile_offers_loads_too(path: Path, tmp_path: Path) -> None:
    offered = re.sub(r"^# (?=ASKONCE_)", "", path.read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / "offered.env").write_text(offered)
    settings = CacheSettings(_env_file=tmp_path / "offered.env")
    assert settings.mode == "default_off"


@pytest.mark.parametrize("path", PROFILE_FILES, ids=lambda path: path.stem)
def test_a_profile_means_the_same_to_docker(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``docker run --env-file`` takes all after the first ``=`` literally."""
    for line in path.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            monkeypatch.setenv(*line.split("=", 1))
    assert CacheSettings().model_dump() == CacheSettings(_env_file=path).model_dump()


def test_there_is_a_profile_for_every_backend() -> None:
    assert {name.partition("-")[0] for name in PROFILES} == set(values.here("type"))


def test_the_schema_names_every_field_its_variable_and_nothing_else() -> None:
    schema = json.loads(reference.schema())
    assert schema["additionalProperties"] is False
    variables = {name: part["x-variable"] for name, part in schema["properties"].items()}
    assert variables == {field: f"ASKONCE_{field.upper()}" for field in CacheSettings.model_fields}
    for part in schema["properties"].values():
        assert "title" not in part
        assert {"default", "description"} <= part.keys()


SCHEMAS: dict[str, Any] = {
    "ttl": {"type": "number", "minimum": 0},
    "type": {"type": "string", "enum": ["local", "disk", "redis", "s3", "dual"]},
    "coalesce": {"type": "string", "enum": ["off"]},
    "max_request_bytes": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]},
    "password": {"anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]},
}


@pytest.mark.parametrize("field", SCHEMAS)
def test_the_schema_says_what_a_field_takes(field: str) -> None:
    part = json.loads(reference.schema())["properties"][field]
    said = {
        key: value for key, value in part.items() if key in {"type", "minimum", "enum", "anyOf"}
    }
    assert said == SCHEMAS[field]


def test_the_toml_line_of_the_reference_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = re.search(r"the TOML file: `(.+)`", reference.reference())
    assert line is not None
    (tmp_path / "a.toml").write_text(line[1])
    monkeypatch.setenv("ASKONCE_CONFIG_FILE", "a.toml")
    assert tomllib.loads(line[1]) == {"ttl": CacheSettings().ttl}
