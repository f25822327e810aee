"""What is said to a Redis server, and what its answers mean. Pure: no I/O, no driver.

Times travel in milliseconds, so that fractions of a second count. Counters are bare decimal text,
which a script adds to: with whole numbers as INCRBY does, with others as Python would, so that a
sum is the same number on every backend.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from askonce.codec import Number, decode_number, encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from askonce.caching._primitives import Item

T = TypeVar("T")

Command: TypeAlias = tuple[str | bytes | float, ...]
"""A command's name and its arguments, as the driver's ``execute_command`` takes them."""

SCAN_COUNT: Final = 1000
"""How many keys a SCAN looks at, and an UNLINK takes, at once."""

PART: Final = 500
"""How many commands travel at once."""
PART_BYTES: Final = 1 << 20
"""How many bytes of them travel at once; a larger one travels alone."""

NOT_A_NUMBER: Final = "not a number"
OUT_OF_RANGE: Final = "sum out of range"

_MAX_MILLISECONDS: Final = 10**15
"""Some 30,000 years: what Redis can still add to its clock."""

# KEYS: the counter. ARGV: the amount; milliseconds to keep it, or nothing; 1 to begin them anew.
# INCRBY keeps the time that a key has, SET does not, and KEEPTTL is not known before Redis 6.
_ADD: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'string' and kind ~= 'none' then return redis.error_reply('ERR not a number') end
local was = kind == 'string' and redis.call('GET', KEYS[1]) or '0'
local decimal = string.find(was, '^%-?%d+%.?%d*[eE]?[+-]?%d*$')
if not decimal or not tonumber(was) then return redis.error_reply('ERR not a number') end
if not tonumber(ARGV[1]) then return redis.error_reply('ERR sum out of range') end
local left = kind == 'string' and redis.call('PTTL', KEYS[1]) or -2
if string.find(was, '^%-?%d+$') and string.find(ARGV[1], '^%-?%d+$') then
  local sum = redis.pcall('INCRBY', KEYS[1], ARGV[1])
  if type(sum) == 'table' then
    local own = string.find(sum.err, 'overflow') or string.find(sum.err, 'out of range')
    return own and redis.error_reply('ERR sum out of range') or sum
  end
else
  local sum = tonumber(was) + tonumber(ARGV[1])
  if sum ~= sum or sum - sum ~= 0 then return redis.error_reply('ERR sum out of range') end
  local text = string.format('%.17g', sum)
  if string.find(text, '^%-?%d+$') then text = text .. '.0' end
  redis.call('SET', KEYS[1], text)
  if left > 0 then redis.call('PEXPIRE', KEYS[1], left) end
end
local sum = redis.call('GET', KEYS[1])
if ARGV[2] ~= '' and (left == -2 or ARGV[3] == '1') then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return sum
"""


def parts(things: Iterable[T], size: Callable[[T], int], most: int = PART) -> Iterator[list[T]]:
    """Cut what is to travel into parts, by how many and by how large they are.

    Args:
        things: Commands, items or keys. They are asked for as the parts are.
        size: Returns the bytes of one.
        most: How many make a part.
    """
    part: list[T] = []
    room = PART_BYTES
    for thing in things:
        room -= size(thing)
        if part and (room < 0 or len(part) >= most):
            yield part
            part, room = [], PART_BYTES - size(thing)
        part.append(thing)
    if part:
        yield part


def command_bytes(command: Command) -> int:
    """Return about how many bytes a command takes."""
    return sum(len(it) if isinstance(it, (str, bytes)) else 8 for it in command)


def item_bytes(item: Item) -> int:
    """Return about how many bytes it takes to keep an item."""
    return len(item[0]) + len(item[1])


def milliseconds(seconds: float) -> int:
    """Return seconds above 0 as what PX takes: no longer than was said, and at least 1."""
    return max(1, int(min(seconds * 1000, _MAX_MILLISECONDS)))


def set_command(item: Item, *, nx: bool = False) -> Command:
    """Return the command that keeps an item; ``nx``: unless there is something already."""
    key, data, retention = item
    time = () if retention is None else ("PX", milliseconds(retention))
    return ("SET", key, data, *time, *(("NX",) if nx else ()))


def add_command(
    key: str, amount: Number, retention: float | None, *, refresh: bool = False
) -> Command:
    """Return the command that adds to a counter.

    Args:
        key: The counter.
        amount: What to add.
        retention: Seconds to keep a counter that begins here; None: no limit; 0 or less: not at
            all.
        refresh: Keep one that is there for so long from now on, too.
    """
    time = b"" if retention is None else milliseconds(retention) if retention > 0 else -1
    return ("EVAL", _ADD, 1, key, encode_value(amount), time, int(refresh))


def counter(command: Command) -> str:
    """Return the counter that an ``add_command`` adds to."""
    return str(command[3])


def added(reply: Any) -> Number:
    """Read what the server answered to ``add_command``."""
    number = decode_number(reply if isinstance(reply, bytes) else str(reply).encode())
    return 0 if number is None else number


def scan_command(cursor: Any, glob: str) -> Command:
    """Return the command that finds the next page of keys; the first cursor is 0."""
    return ("SCAN", int(cursor), "MATCH", glob, "COUNT", SCAN_COUNT)


def pattern(prefixes: Sequence[str] | None) -> str:
    """Return the glob of SCAN that matches all keys which begin with one of ``prefixes``.

    It may match more: what they have in common decides. None: all keys.
    """
    first, last = min(prefixes or [""]), max(prefixes or [""])
    alike = (one == other for one, other in zip(first, last, strict=False))
    return escaped(first[: sum(takewhile(bool, alike))]) + "*"


def escaped(text: str) -> str:
    """Return a glob that matches this text and nothing else."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", text)


def chosen(page: Sequence[bytes], prefixes: Sequence[str] | None) -> list[bytes]:
    """Return those keys of a page of SCAN that begin with one of ``prefixes``; None: all."""
    if prefixes is None:
        return list(page)
    beginnings = tuple(prefix.encode() for prefix in prefixes)
    return [key for key in page if key.startswith(beginnings)]
