"""Deltas: how the pieces of a stream become one object again, as tables of rules.

A streamed answer is a list of objects that each hold a piece of the whole. A **table** says for
each member how its pieces make the whole: set once, appended, collected, merged. A **rule** is a
function over all the values that a member had, in their order (without those that were null, for
null means "nothing yet"); it returns the member's one value, or ``CLASH`` where the pieces leave
more than one reading. A clash anywhere makes the whole a clash: what is uncertain is not built.

A member that its table does not name is kept if it has one value or the same one each time; inside
choices a string must not even come twice, for two equal pieces may be fragments of one text. So a
field that nobody knew of yet survives, and fragments of an unknown text never become a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Final, TypeAlias

from askonce.calls.lossless import is_list, is_object, same

Rule: TypeAlias = Callable[[list[Any]], Any]
Table: TypeAlias = Mapping[str, Rule | None]
"""Member names and their rules; None: the member is left out."""

CLASH: Final = object()
"""What a rule returns instead of a value that would be a guess."""

SEVERITIES: Final = ("safe", "low", "medium", "high")
"""https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter"""


def once(seen: list[Any]) -> Any:
    """Set once: later pieces repeat the value or are empty strings."""
    values = [value for value in seen if value != ""] or seen[:1]
    return values[0] if all(same(values[0], value) for value in values[1:]) else CLASH


def lone(seen: list[Any]) -> Any:
    """Set once, and a string that is not empty comes only once: it might be a fragment."""
    texts = [value for value in seen if value and isinstance(value, str)]
    return once(seen) if len(texts) < 2 else CLASH


def first(seen: list[Any]) -> Any:
    """The first value that is not empty; what comes after it does not count."""
    return next((value for value in seen if value), seen[0])


def last(seen: list[Any]) -> Any:
    """The last value: each piece replaces the one before."""
    return seen[-1]


def appended(seen: list[Any]) -> Any:
    """Strings, one after the other."""
    if all(isinstance(value, str) for value in seen):
        return "".join(seen)
    return once(seen)


def collected(seen: list[Any]) -> Any:
    """Lists, one after the other."""
    if all(map(is_list, seen)):
        return list(chain.from_iterable(seen))
    return once(seen)


def harshest(seen: list[Any]) -> Any:
    """Content filter results: of all that was said of each category, the harshest."""
    if all(map(is_object, seen)):
        return combine(seen, {}, harshest)
    if all(isinstance(value, bool) for value in seen):
        return any(seen)
    if all(value in SEVERITIES for value in seen):
        return max(seen, key=SEVERITIES.index)
    return once(seen)


def nested(table: Table) -> Rule:
    """Objects whose members have a table of their own."""

    def rule(seen: list[Any]) -> Any:
        return combine(seen, table, lone) if all(map(is_object, seen)) else once(seen)

    return rule


def combine(pieces: Iterable[Mapping[str, Any]], table: Table, default: Rule = once) -> Any:
    """Make one object of its pieces.

    Args:
        pieces: The pieces in the order in which they came.
        table: The rules.
        default: The rule for members that the table does not name.

    Returns:
        The whole, its members in the order in which they first came, or ``CLASH``.
    """
    whole: dict[str, Any] = {}
    for name, values in _by_name(pieces).items():
        rule = table.get(name, default)
        if rule is None:
            continue
        seen = [value for value in values if value is not None]
        whole[name] = rule(seen) if seen else None
        if whole[name] is CLASH:
            return CLASH
    return whole


def _by_name(pieces: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for piece in pieces:
        for name, value in piece.items():
            values.setdefault(name, []).append(value)
    return values
