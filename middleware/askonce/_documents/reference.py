"""The documents that are made from the settings: reference, JSON schema and profiles.

The schema is keyed by field, so that an editor can check the TOML file by it; every property
names its variable.
"""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

from askonce._documents.profiles import PROFILES, render
from askonce._settings import names, show, values
from askonce._settings.groups import GROUPS
from askonce.settings import CacheSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

_INTRO = """\
# Settings

<!-- Made by `askonce settings --write settings/`. Do not edit: change the fields' descriptions. -->

One rule: field `x` is the variable `ASKONCE_X` and the parameter `x` of `CacheSettings(x=…)`.
`askonce settings` shows the values in effect and where each one came from.

## Where values are looked for

The first of these that has a setting decides it:

1. arguments: `CacheSettings(ttl=60)`
2. the environment: `ASKONCE_TTL=60`
3. the file `.env` in the working directory
4. the secrets directory: a file `askonce_password` with nothing but the value
5. the TOML file: `ttl = 60`
6. for Redis, what other programs use too: {fallbacks}. One that may be about another server, \
because an address of ours is set, does not count
7. the default

{other}

## How values are written

- Durations are **seconds**, fractions allowed. 0 is a value: it does not mean "unset".
- Sizes are **bytes**, also as `512KiB`, `8MiB` or `1GiB`.
- Lists are written `a, b` or as JSON, `["a", "b"]`; mappings and lists of lists as JSON.
- An empty variable means none; where none is no value, it is an error.
- Variables that Kubernetes makes for a service called `askonce` or `redis`, such as \
`ASKONCE_PORT=tcp://…`, are nobody's settings and are ignored.

A wrong value stops start-up with a line for each setting that is wrong. An unknown `ASKONCE_*` \
is a warning that names the nearest setting. Secrets are never shown.

## Profiles

Files of variables to start from, one per backend: {profiles}.
"""

_HEADER = ("Variable", "Takes", "Default", "What it does")


def documents() -> dict[str, str]:
    """Return all documents: path below the target directory to text."""
    profiles = {f"profiles/{name}.env": render(profile) for name, profile in PROFILES.items()}
    return {"REFERENCE.md": reference(), "schema.json": schema(), **profiles}


def write(directory: Path) -> list[Path]:
    """Write all documents below ``directory``, which is made if need be.

    Returns:
        The files written.

    Raises:
        OSError: A file cannot be written.
    """
    files = {directory / path: text for path, text in documents().items()}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8", newline="\n")
    return list(files)


def reference() -> str:
    """Return REFERENCE.md: every group, every field."""
    intro = _INTRO.format(
        fallbacks=", ".join(f"`{fallback.variable}`" for fallback in names.FALLBACKS.values()),
        other=_table(("Variable", "What it is"), _other_rows()),
        profiles=", ".join(f"[{name}](profiles/{name}.env)" for name in PROFILES),
    )
    return "\n".join([intro, *map(_group, GROUPS)])


def schema() -> str:
    """Return schema.json: the JSON schema of a TOML file's settings, keyed by field."""
    made = CacheSettings.model_json_schema()
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of askonce",
        "type": "object",
        "properties": {field: _property(field, part) for field, part in made["properties"].items()},
        "additionalProperties": False,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _property(field: str, part: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in part.items() if name != "title"}
    return {"x-variable": names.variable(field), **kept}


def _group(group: type[BaseSettings]) -> str:
    title, _, note = inspect.cleandoc(group.__doc__ or "").partition("\n\n")
    rows = [_row(field, info) for field, info in group.model_fields.items()]
    parts = [f"## {title.removesuffix('.')}", *filter(None, [note]), _table(_HEADER, rows)]
    return "\n\n".join(parts) + "\n"


def _row(field: str, info: FieldInfo) -> tuple[str, ...]:
    text = (info.description or "") + _reserved(field)
    return (f"`{names.variable(field)}`", show.words(info), _default(info.default), text)


def _reserved(field: str) -> str:
    """Name the values that are for later versions, so that nobody takes them for a mistake."""
    words = [word for word in values.reserved_values(field) if word != values.ANYTHING]
    if values.ANYTHING in values.reserved_values(field):
        return " *Reserved for a later version.*"
    listed = ", ".join(f"`{word}`" for word in words)
    return f" *Reserved for later versions: {listed}.*" if words else ""


def _default(value: object) -> str:
    if value is None:
        return "none"
    return f"`{show.as_text(value)}`" if value not in ((), {}) else "empty"


def _other_rows() -> list[tuple[str, ...]]:
    return [(f"`{name}`", text) for name, text in names.OTHER_VARIABLES.items()]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a Markdown table with all columns but the last aligned in the source too."""
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)][:-1]
    rule = ["-" * width for width in (*widths, len(header[-1]))]
    return "\n".join(_table_line(row, widths) for row in (header, rule, *body))


def _table_line(row: Iterable[str], widths: list[int]) -> str:
    *cells, last = row
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return f"| {' | '.join([*padded, last])} |"
