"""Whoever the scope knows is told apart; whoever it cannot name is not cached."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from starlette.authentication import BaseUser, UnauthenticatedUser

from askonce.callers import NOBODY, CallerReader, UnknownCaller
from askonce.errors import SettingsError


class Identified(BaseUser):
    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def identity(self) -> str:
        return "id-7"


class Displayed(BaseUser):
    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return "ann"

    @property
    def identity(self) -> str:
        raise NotImplementedError


class Nameless(BaseUser):
    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def display_name(self) -> str:
        return ""

    @property
    def identity(self) -> str:
        raise NotImplementedError


class Named:
    is_authenticated = True

    def __init__(self, identity: object, display_name: str = "") -> None:
        self.identity = identity
        self.display_name = display_name


class Unfinished(BaseUser):
    """Starlette's own class, nothing defined."""


class Broken:
    is_authenticated = True

    @property
    def identity(self) -> str:
        raise KeyError("id")


def tenant(scope: Any) -> str:
    return scope["state"]["tenant"]


def number(scope: Any) -> Any:
    return 7


def read(scope: dict[str, Any], caller_id: str | None = None, *, shared: bool = False) -> object:
    return CallerReader(caller_id, shared=shared).read(scope)


@pytest.mark.parametrize(
    ("user", "caller"),
    [
        (None, NOBODY),
        (UnauthenticatedUser(), NOBODY),
        (Displayed(), ("display_name", "str", "ann")),
        (Identified(), ("identity", "str", "id-7")),
        (Named(7, "ann"), ("identity", "int", "7", "display_name", "str", "ann")),
        (Named("7"), ("identity", "str", "7")),
        (Named(UUID(int=7)), ("identity", "UUID", str(UUID(int=7)))),
        (Named(7.0), UnknownCaller("unknown-user")),
        (Named(identity=True), UnknownCaller("unknown-user")),
        (Named(["a"], "ann"), UnknownCaller("unknown-user")),
        (Unfinished(), UnknownCaller("unknown-user")),
        (Broken(), UnknownCaller("unknown-user")),
        (Nameless(), UnknownCaller("unknown-user")),
        ({"id": 7}, UnknownCaller("unknown-user")),
    ],
)
def test_an_authenticated_user_is_told_apart(user: object, caller: object) -> None:
    assert read({"user": user}) == caller


def test_sharing_tells_nobody_apart() -> None:
    assert read({"user": Nameless()}, f"{__name__}:tenant", shared=True) == NOBODY


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> str:
    import sys
    import types

    module = types.ModuleType("own_rules")
    module.tenant, module.number, module.text = tenant, number, "x"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_rules", module)
    return "own_rules"


def test_the_operators_rule_is_asked(importable: str) -> None:
    scope = {"state": {"tenant": "acme"}, "user": Displayed()}
    assert read(scope, "own_rules:tenant") == ("display_name", "str", "ann", "caller_id", "acme")


@pytest.mark.parametrize("rule", ["own_rules:tenant", "own_rules:number"])
def test_a_rule_that_fails_is_not_cached_and_said_once(
    importable: str, rule: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader = CallerReader(rule, shared=False)
    failed = UnknownCaller("caller-id-failed")
    assert [reader.read({"state": {}}) for _ in range(3)] == [failed] * 3
    assert len(caplog.records) == 1
    assert "ASKONCE_CALLER_ID" in caplog.text


def test_a_user_without_a_name_is_not_cached_whatever_the_rule_says(importable: str) -> None:
    scope = {"state": {"tenant": "acme"}, "user": Nameless()}
    assert read(scope, "own_rules:tenant") == UnknownCaller("unknown-user")


@pytest.mark.parametrize("path", ["nowhere:f", "own_rules:missing", "own_rules:text", "::"])
def test_a_rule_that_cannot_be_found_stops_start_up(importable: str, path: str) -> None:
    with pytest.raises(SettingsError, match="ASKONCE_CALLER_ID"):
        CallerReader(path, shared=False)
