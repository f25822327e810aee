"""Where values are looked for, in which order, and where each one came from.

An explicit argument wins over a variable of the environment, that one over ``.env``, then come
files in the secrets directory, the TOML file, and last the variables that other programs use
for Redis. The first layer that has a field decides it. Values are never merged: a mapping in
the environment replaces the one in a file.

Empty text means *none* where none is a value. ``None`` as an argument means *not given* where
it is not one: callers who pass on all they have need not sort it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    SecretsSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from askonce._settings import names

PathLike: TypeAlias = str | Path
Model: TypeAlias = type[BaseSettings]

DEFAULT_SECRETS_DIR = Path("/run/secrets")
"""Where Docker and Podman mount secrets; read if it is there."""


class Origin(NamedTuple):
    """Where a value came from.

    Args:
        kind: What kind of place.
        name: The parameter, the variable or the file's key that had it; empty for a default.
        path: The file, or an empty text.
    """

    kind: Literal["argument", "environment", "file", "default"]
    name: str = ""
    path: str = ""

    def __str__(self) -> str:
        """Name the place in a few characters, for a table."""
        if self.kind == "environment" and not self.name.startswith(names.PREFIX):
            return f"environment {self.name}"
        return self.path or self.kind


class Value(NamedTuple):
    """A value as it was given, and where."""

    raw: Any
    origin: Origin


Layer: TypeAlias = Mapping[str, Value]


class Texts(NamedTuple):
    """Variables with their values, the names in small letters, and the file they stand in."""

    texts: Mapping[str, str | None]
    path: str = ""

    def get(self, variable: str) -> Value | None:
        """Return a variable's value, if there is one that is no service link."""
        text = self.texts.get(variable.lower())
        if text is None or names.is_service_link(variable, text):
            return None
        return Value(text, Origin("file" if self.path else "environment", variable, self.path))


class Found:
    """What was found in all layers.

    Attributes:
        values: For every field that was given, its raw value and where it came from.
        problems: What could not be read or is no setting; reasons not to start, a line each.
        unknown: Names in the environment and in files that are no setting; reasons to warn.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.fields = model.model_fields
        self.values: dict[str, Value] = {}
        self.problems: list[str] = []
        self.unknown: list[str] = []

    def add(self, layer: Layer) -> None:
        """Take from a layer what no earlier one had."""
        for field, (raw, origin) in layer.items():
            optional = self.fields[field].default is None
            value = None if raw == "" and optional else raw
            if value is not None or optional:
                self.values.setdefault(field, Value(value, origin))

    def is_set(self, field: str) -> bool:
        """Say whether a field was given a value that is not none."""
        return field in self.values and self.values[field].raw is not None


def gather(
    model: Model, arguments: Mapping[str, Any], env_file: PathLike | None, secrets: PathLike | None
) -> Found:
    """Look for every field in every layer.

    Args:
        model: The settings.
        arguments: Explicit arguments by field.
        env_file: The ``.env`` file, which need not exist, or None to read none.
        secrets: The secrets directory, or None for the one that a variable names.

    Returns:
        The raw values with their origins, and what is wrong with the places. Never raises for
        a file that cannot be read: that is a problem among the others.
    """
    found = Found(model)
    variables = (Texts(EnvSettingsSource(model).env_vars), _dotenv(found, env_file))
    found.add(_arguments(found, arguments))
    for texts in variables:
        found.add(_fields(found, texts))
    found.add(_secrets(found, secrets, variables))
    found.add(_toml(found, variables))
    found.add(_fallbacks(found, variables))
    return found


def _arguments(found: Found, arguments: Mapping[str, Any]) -> Layer:
    for name in sorted(arguments.keys() - found.fields.keys()):
        near = names.nearest(name, found.fields)
        found.problems.append(f"{name}: there is no such setting{near}")
    return {
        name: Value(raw, Origin("argument", name))
        for name, raw in arguments.items()
        if name in found.fields
    }


def _dotenv(found: Found, path: PathLike | None) -> Texts:
    if path is None:
        return Texts({})
    try:
        source = DotEnvSettingsSource(found.model, env_file=path)
    except (OSError, ValueError) as error:
        found.problems.append(f"{path!s}: cannot be read: {_reason(error)}")
        return Texts({})
    return Texts(source.env_vars, str(path))


def _fields(found: Found, texts: Texts) -> Layer:
    place = f" (in {texts.path})" if texts.path else ""
    found.unknown += [line + place for line in names.unknown(texts.texts, found.fields)]
    values = {field: texts.get(names.variable(field)) for field in found.fields}
    return {field: value for field, value in values.items() if value}


def _secrets(found: Found, path: PathLike | None, variables: tuple[Texts, ...]) -> Layer:
    directory = path or _first(variables, names.SECRETS_DIR)
    if directory is None:
        readable = os.access(DEFAULT_SECRETS_DIR, os.R_OK | os.X_OK)
        return _secret_files(found, DEFAULT_SECRETS_DIR) if readable else {}
    if Path(directory).is_dir():
        return _secret_files(found, Path(directory))
    found.problems.append(f"{names.SECRETS_DIR}={directory!s}: not a directory")
    return {}


def _secret_files(found: Found, directory: Path) -> Layer:
    source = SecretsSettingsSource(found.model, secrets_dir=directory)
    try:
        texts = source()
        files = {path.name.lower(): path for path in directory.iterdir()}
    except (OSError, SourceError) as error:
        found.problems.append(f"{directory}: cannot be read: {_reason(error.__cause__ or error)}")
        return {}
    lines = names.unknown(dict.fromkeys(files), found.fields)
    found.unknown += [f"{line} (in {directory})" for line in lines]
    return {field: Value(text, _file(files, field)) for field, text in texts.items()}


def _file(files: Mapping[str, Path], field: str) -> Origin:
    path = files[names.variable(field).lower()]
    return Origin("file", names.variable(field), str(path))


def _toml(found: Found, variables: tuple[Texts, ...]) -> Layer:
    path = _first(variables, names.CONFIG_FILE)
    if path is None:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        found.problems.append(f"{names.CONFIG_FILE}={path}: cannot be read: {_reason(error)}")
        return {}
    for name in sorted(table.keys() - found.fields.keys()):
        near = names.nearest(name, found.fields)
        found.unknown.append(f"{name} is no setting{near} (in {path})")
    return {
        name: Value(raw, Origin("file", name, path))
        for name, raw in table.items()
        if name in found.fields
    }


def _fallbacks(found: Found, variables: tuple[Texts, ...]) -> Layer:
    layer: dict[str, Value] = {}
    for field, fallback in names.FALLBACKS.items():
        value = next(filter(None, (texts.get(fallback.variable) for texts in variables)), None)
        if value and value.raw and not any(map(found.is_set, fallback.yields_to)):
            layer[field] = value
    return layer


def _first(variables: tuple[Texts, ...], name: str) -> str | None:
    """Return a variable's text from the first place that has it; empty text is none."""
    values = (texts.get(name) for texts in variables)
    return next((value.raw for value in values if value), None) or None


def _reason(error: BaseException) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
