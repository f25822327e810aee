"""The arguments of a wrapped function: what of them is the question, and what is said to us."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from askonce.calls.canonical import is_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OURS: Final[Mapping[str, type]] = {"cache": dict, "caller": str, "namespace": str}


class Given(NamedTuple):
    """The arguments of one call.

    Args:
        asked: The question's members by name, and what is said to us.
        args: What the function gets by position.
        kwargs: What it gets by name: without what is said to us, unless it names that itself.
    """

    asked: dict[str, Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Arguments:
    """Reads the arguments of one function.

    Args:
        function: The function, for its signature.
        call_type: Canonical name of the call type.

    Raises:
        ValueError: It has a parameter of its own that is called ``call_type``.
    """

    def __init__(self, function: Callable[..., Any], call_type: str) -> None:
        self._call_type = call_type
        self._signature = _signature(function)
        parameters = dict(self._signature.parameters) if self._signature is not None else {}
        if "call_type" in parameters:
            raise ValueError("call_type: a parameter of this name is the cache's; rename it")
        self._named = frozenset(parameters)
        # None means "not given" in the APIs; a default that is no JSON value is the same each time.
        self._defaults = {
            name: parameter.default
            for name, parameter in parameters.items()
            if parameter.default is not None and is_json(parameter.default)
        }

    def read(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Given:
        """Read the arguments of one call.

        Raises:
            TypeError: ``cache``, ``caller`` or ``namespace`` has a wrong type, there is a
                ``call_type``, or the function does not take these arguments.
        """
        if "call_type" in kwargs:
            raise TypeError("call_type: say it when the function is wrapped, not with each call")
        passed = {
            name: value
            for name, value in kwargs.items()
            if name not in _OURS or name in self._named
        }
        asked = {**self._defaults, **self._by_name(args, passed)}
        asked |= {name: kwargs[name] for name in _OURS if name in kwargs}
        for name, kind in _OURS.items():
            if asked.get(name) is not None and not isinstance(asked[name], kind):
                raise TypeError(f"{name}: must be a {kind.__name__}, or None")
        return Given({**asked, "call_type": self._call_type}, args, passed)

    def _by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if not args or self._signature is None:
            # What cannot be named is still a part of the question, and nothing that JSON has.
            return {**kwargs, "*": args} if args else kwargs
        named: dict[str, Any] = {}
        for name, value in self._signature.bind(*args, **kwargs).arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                named |= value
            else:
                named[name] = value  # a tuple of more positional ones is nothing that JSON has
        return named


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C have none
        return None
