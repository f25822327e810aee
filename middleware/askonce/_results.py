"""Results of a wrapped function: JSON to be stored, and back in the type that they had.

With a result its type's name is stored. It comes back only as a type that this very function is
known to return, because it did so in this process or because its return annotation says so; nothing
is ever imported by a stored name. Where the type is not known, nothing comes back.
"""

from __future__ import annotations

import inspect
import types
import typing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import msgspec
from pydantic import BaseModel

from askonce.calls.canonical import is_json
from askonce.calls.lossless import is_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.entry import Entry, Headers

Model: TypeAlias = type[BaseModel]

ABSENT: Final = object()
"""There is no such result, or none of a type that is known."""

_TYPE_FIELD: Final = b"askonce-type"
_JSON: Final = "json"
_PLAIN: Final = (dict, list, str, int, float, bool)
_UNIONS: Final = (typing.Union, types.UnionType)
_UNRESOLVED: Final = (NameError, AttributeError, TypeError, ValueError)

_PARTS: Final = 64
"""Parts by which a function is told from others; one that has more is like no other."""


class Written(msgspec.Struct, frozen=True):
    """A result as it is stored.

    Args:
        body: JSON.
        headers: The fields that describe it.
    """

    body: bytes
    headers: Headers


class Results:
    """The types that one function returns, and its results in them.

    Args:
        function: The function, for its return annotation.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        # A name that stands for two classes stands for none.
        self._known: dict[str, Model | None] = {}
        self._plain: set[type[Any]] = set()
        for kind in _kinds(_returned(function)):
            self._learn(kind)

    def write(self, result: Any) -> Written | None:
        """Write a result; None if it would not come back as what it is."""
        if not isinstance(result, BaseModel):
            body = _encoded(result)
            if body is None:
                return None
            self._plain.add(_kind(result))
            return _written(body, _JSON)
        model, body = type(result), _encoded(_dumped(result))
        if body is None or not _comes_back(model, body):
            return None
        self._learn(model)
        return _written(body, _name(model))

    def read(self, entry: Entry) -> Any:
        """Read a result, a new object each time; ``ABSENT`` if its type is not known."""
        name = dict(entry.headers).get(_TYPE_FIELD, b"").decode() or self._only_one()
        if name == _JSON:
            plain = msgspec.json.decode(entry.body)
            return plain if type(plain) in self._plain else ABSENT
        kind = self._known.get(name)
        if kind is None:
            return ABSENT
        try:
            return _made(kind, msgspec.json.decode(entry.body))
        except ValueError:  # pydantic's; msgspec's
            return ABSENT

    def _learn(self, kind: type[Any]) -> None:
        if typing.is_typeddict(kind):
            self._plain.add(dict)
        elif kind in _PLAIN:
            self._plain.add(kind)
        elif issubclass(kind, BaseModel):
            known = self._known.setdefault(_name(kind), kind)
            self._known[_name(kind)] = kind if known is kind else None

    def _only_one(self) -> str:
        """The name of the only type that is known, for what was stored without one."""
        names = [*self._known, *([_JSON] if self._plain else [])]
        return names[0] if len(names) == 1 else ""


def identity(function: Callable[..., Any]) -> tuple[object, ...]:
    """Return what tells a function from those that may return other types.

    A lambda is made anew with each call, so a function is known by its code. Decorators, partials
    and methods share theirs: what is inside of them counts too, also what a closure holds or a
    default is. Of other objects only the type counts.

    Args:
        function: The function.
    """
    told: dict[int, object] = {}
    left: list[Any] = [function]
    while left and len(told) < _PARTS:
        part = left.pop()
        if id(part) not in told:
            told[id(part)] = _told(part)
            left += _parts(part)
    return (object(),) if left else tuple(told.values())


def mark(result: Any, *, hit: bool, key: str, in_dicts: bool) -> Any:
    """Mark a result the way LiteLLM's users look for it.

    Args:
        result: An object gets ``_hidden_params`` with ``cache_hit`` and ``cache_key``.
        hit: True if it comes from the cache.
        key: Its physical key.
        in_dicts: True if a dict from the cache gets a member ``cache``, which is true.

    Returns:
        The result itself.
    """
    if isinstance(result, BaseModel):
        hidden: Any = getattr(result, "_hidden_params", None)
        known = hidden if is_object(hidden) else {}
        # Where a model has no such attribute, it becomes one of the object, beside its fields.
        object.__setattr__(result, "_hidden_params", {**known, "cache_hit": hit, "cache_key": key})
    elif hit and in_dicts and is_object(result):
        result["cache"] = True
    return result


def _kind(result: object) -> type[Any]:
    return type(result)


def _told(part: Any) -> object:
    if isinstance(part, type) or type(part) is object:
        return part
    if isinstance(part, types.MethodType) or not inspect.isroutine(part):
        return _kind(part)
    names = (getattr(part, name, None) for name in ("__code__", "__qualname__", "__module__"))
    return (type(part), *names)


def _parts(part: Any) -> list[Any]:
    """What is inside of a function, and decides with it what it returns."""
    if isinstance(part, type):
        return []
    if isinstance(part, partial):
        return [part.func, *part.args, *part.keywords.values()]
    if isinstance(part, types.MethodType):
        return [part.__func__, part.__self__]
    inside = [value for name, value in _own(part).items() if name == "__wrapped__"]
    if isinstance(part, types.FunctionType):
        inside += [*(part.__defaults__ or ()), *(part.__kwdefaults__ or {}).values()]
        inside += _held(part.__closure__ or ())
    return inside


def _own(part: Any) -> dict[str, Any]:
    # Not by getattr: there are objects that have every attribute they are asked for.
    own: Any = getattr(part, "__dict__", None)
    return own if is_object(own) else {}


def _held(cells: tuple[types.CellType, ...]) -> list[Any]:
    try:
        return [cell.cell_contents for cell in cells]
    except ValueError:  # one is still empty: nobody knows what will be in it
        return [object()]


def _written(body: bytes, name: str) -> Written:
    return Written(body, ((b"content-type", b"application/json"), (_TYPE_FIELD, name.encode())))


def _encoded(plain: Any) -> bytes | None:
    try:
        return msgspec.json.encode(plain) if is_json(plain) else None
    except (UnicodeEncodeError, RecursionError):
        return None


def _is_lenient(kind: Model) -> bool:
    """True for SDKs that build their models without validation: so do we, as they would."""
    own: Any = kind.model_construct
    return own.__func__ is not cast("Any", BaseModel.model_construct).__func__


def _dumped(result: BaseModel) -> Any:
    # Such an SDK's models say what was sent; others may have members that are made at random.
    return result.model_dump(mode="json", by_alias=True, exclude_unset=_is_lenient(type(result)))


def _made(kind: Model, plain: Any) -> BaseModel:
    return kind.model_construct(**plain) if _is_lenient(kind) else kind.model_validate(plain)


def _comes_back(kind: Model, body: bytes) -> bool:
    try:
        return _encoded(_dumped(_made(kind, msgspec.json.decode(body)))) == body
    except (TypeError, ValueError):
        return False


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _returned(function: Callable[..., Any]) -> Any:
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function):
        function = type(function).__call__
    try:
        return typing.get_type_hints(function).get("return")
    except _UNRESOLVED:  # names that exist for type checkers only
        return None


def _kinds(annotation: Any) -> list[type[Any]]:
    """The classes that an annotation names: one, those of a union, or what is awaited."""
    origin = typing.get_origin(annotation)
    if origin is None or origin in _PLAIN:
        kind = origin or annotation
        return [kind] if isinstance(kind, type) else []
    inner = typing.get_args(annotation)
    if isinstance(origin, type) and hasattr(origin, "__await__"):
        inner = inner[-1:]
    elif origin not in _UNIONS:
        return []  # such as a stream: what it brings is no result
    return [kind for each in inner for kind in _kinds(each)]
