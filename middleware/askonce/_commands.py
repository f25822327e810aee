"""The commands of the command line.

Output is for people on a terminal and for programs in a pipe: there without colours, without
lines broken at some width, and as JSON if asked.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from importlib.metadata import version
from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from askonce._check import Report, check
from askonce._documents import reference
from askonce._settings import names, show
from askonce._settings.groups import GROUPS
from askonce.errors import SettingsError
from askonce.settings import CacheSettings, UnknownSettingWarning

_NARROW = 76
"""Columns of a terminal below which a table would break names and values into pieces."""

app = typer.Typer(
    name="askonce",
    help="Cache middleware for LLM routes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"askonce {version('askonce')}")
        raise typer.Exit


@app.callback()
def _askonce(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Cache middleware for LLM routes."""


@app.command("settings")
def _settings(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write", metavar="DIR", help="Write REFERENCE.md, schema.json and profiles/ there."
        ),
    ] = None,
) -> None:
    """Show the settings in effect, and where each one came from."""
    if write is not None:
        if as_json:
            raise typer.BadParameter("either --json or --write")
        _write(write)
        return
    settings = _load()
    if as_json:
        typer.echo(json.dumps(_as_json(settings), indent=2, ensure_ascii=False))
        return
    _print_settings(settings, Console(highlight=False))


@app.command("check")
def _check(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Try the backend: connect, write, read and delete a probe, and time it."""
    report = asyncio.run(check(_load()))
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(1)


def _print_report(report: Report) -> None:
    if not report.ok:
        typer.secho(f"askonce: {report.message}", fg="red", err=True)
        return
    typer.secho(f"ok  {report.message}", fg="green")
    limit = "no limit" if report.limit is None else f"{report.limit * 1000:g} ms allowed"
    typer.echo(f"    a look-up takes {(report.round_trip or 0) * 1000:.3g} ms ({limit})")
    for advice in report.advice:
        typer.secho(f"warning: {advice}", fg="yellow", err=True)


def _load() -> CacheSettings:
    """Read the settings; what is odd goes to stderr, and so does what is wrong."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnknownSettingWarning)
        settings = _read()
    for warning in caught:
        typer.secho(f"warning: {warning.message}", fg="yellow", err=True)
    if isinstance(settings, SettingsError):
        raise _failure(str(settings))
    return settings


def _read() -> CacheSettings | SettingsError:
    try:
        return CacheSettings()
    except SettingsError as error:
        return error


def _failure(message: str) -> typer.Exit:
    typer.secho(f"askonce: {message}", fg="red", err=True)
    return typer.Exit(1)


def _write(directory: Path) -> None:
    try:
        files = reference.write(directory)
    except OSError as error:
        raise _failure(f"cannot write {error.filename}: {error.strerror}") from None
    for path in files:
        typer.echo(path)


def _as_json(settings: CacheSettings) -> dict[str, object]:
    return {
        "settings": {
            field: {
                "variable": names.variable(field),
                "value": show.as_json(_shown(settings, field)),
                "from": settings.origin_of(field)._asdict(),
            }
            for field in CacheSettings.model_fields
        },
        "in_effect": dict(_in_effect(settings)),
    }


def _in_effect(settings: CacheSettings) -> tuple[tuple[str, float | None], ...]:
    """Name the settings whose value another one decides."""
    return (
        ("ttl", settings.effective_ttl),
        ("backend_timeout", settings.effective_backend_timeout),
    )


Group = tuple[str, list[tuple[str, str, str]]]
"""A title, and rows of name, value and origin."""


def _groups(settings: CacheSettings) -> list[Group]:
    groups: list[Group] = [
        (_title(group.__doc__ or ""), [_row(settings, field) for field in group.model_fields])
        for group in GROUPS
    ]
    rows = [(name, _value(value), "computed") for name, value in _in_effect(settings)]
    return [*groups, ("In effect", rows)]


def _title(docstring: str) -> str:
    return docstring.splitlines()[0].removesuffix(".")


def _row(settings: CacheSettings, field: str) -> tuple[str, str, str]:
    value, origin = _shown(settings, field), settings.origin_of(field)
    return names.variable(field), _value(value), str(origin)


def _shown(settings: CacheSettings, field: str) -> object:
    value: object = getattr(settings, field)
    return show.MASK if show.hides(CacheSettings.model_fields[field], value) else value


def _value(value: object) -> str:
    return "none" if value is None else show.as_text(value)


def _print_settings(settings: CacheSettings, console: Console) -> None:
    groups = _groups(settings)
    if console.is_terminal and console.width < _NARROW:
        console.print(_stacked(groups))
        return
    table = _table(groups)
    if not console.is_terminal:
        whole = console.options.update(max_width=10_000)
        console.width = console.measure(table, options=whole).maximum
    console.print(table)


def _table(groups: list[Group]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Variable", no_wrap=True)
    table.add_column("Value", overflow="fold")
    table.add_column("From", overflow="fold")
    for title, rows in groups:
        table.add_row(Text(f"\n{title}", style="bold"))
        for name, value, origin in rows:
            style = "dim" if origin == "default" else ""
            table.add_row(Text(name), Text(value), Text(origin), style=style)
    return table


def _stacked(groups: list[Group]) -> RenderableType:
    text = Text()
    for title, rows in groups:
        text.append(f"\n{title}\n", style="bold")
        for name, value, origin in rows:
            text.append(f"{name}\n  {value}", style="dim" if origin == "default" else "")
            text.append(f"  ({origin})\n", style="dim")
    return text
