"""What variables are called: ours, those that we fall back on, and those that are nobody's."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "ASKONCE_"
CONFIG_FILE = "ASKONCE_CONFIG_FILE"
SECRETS_DIR = "ASKONCE_SECRETS_DIR"

OTHER_VARIABLES: Mapping[str, str] = {
    CONFIG_FILE: "A TOML file with settings, keyed by field: `ttl = 3600`.",
    SECRETS_DIR: "A directory with one file per setting, named like its variable in small "
    "letters: `askonce_password`. Not set: `/run/secrets`, if it is there.",
}
"""Variables that are no fields: where else to look. They may stand in ``.env`` too."""


class Fallback(NamedTuple):
    """A variable that other programs use for the same thing.

    Args:
        variable: Its name.
        yields_to: Fields of ours that, once set, make it meaningless: it may well be about
            another server.
    """

    variable: str
    yields_to: frozenset[str] = frozenset()


_NODES = frozenset({"redis_startup_nodes", "sentinel_nodes"})
FALLBACKS: Mapping[str, Fallback] = {
    "redis_url": Fallback("REDIS_URL", _NODES | {"host"}),
    "host": Fallback("REDIS_HOST", _NODES | {"redis_url"}),
    "port": Fallback("REDIS_PORT", _NODES | {"redis_url"}),
    "password": Fallback("REDIS_PASSWORD"),
}
"""Field to the variable that stands in where none of ours is given."""

# Kubernetes announces a service `askonce` (or `askonce-redis`) in variables that look like ours.
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
_LINK_NAME = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def variable(field: str) -> str:
    """Return the name of a field's variable."""
    return PREFIX + field.upper()


def is_service_link(name: str, text: str) -> bool:
    """Say whether Kubernetes made this variable, so that it is nobody's setting.

    Args:
        name: The variable's name in capitals.
        text: Its value.
    """
    if name.endswith("PORT") and _LINK_VALUE.match(text):
        return True
    return _LINK_NAME.fullmatch(name.removeprefix(PREFIX)) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for the known name most like ``name``, or an empty text."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def unknown(texts: Mapping[str, str | None], fields: Iterable[str]) -> list[str]:
    """Name the variables that bear our prefix and are no setting.

    Args:
        texts: Variables, whatever their case, and their values.
        fields: All fields.

    Returns:
        A line for each: the name, and the nearest one that is a setting.
    """
    known = [*map(variable, fields), *OTHER_VARIABLES]
    ours = {name.upper(): text or "" for name, text in texts.items()}
    return [
        f"{name} is no setting{nearest(name, known)}"
        for name, text in ours.items()
        if name.startswith(PREFIX) and name not in known and not is_service_link(name, text)
    ]
