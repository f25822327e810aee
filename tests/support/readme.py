"""The README as its tests see it: fenced blocks and tables."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
PROSE = _FENCED.sub("", TEXT)
"""What stands between the fenced blocks."""

_CODE = re.compile(r"`([^`]+)`")


class Block(NamedTuple):
    """A fenced block.

    Args:
        kind: The word behind its fence.
        text: What is in it.
        line: The number of its fence's line, for who reads a failure.
    """

    kind: str
    text: str
    line: int


def blocks() -> list[Block]:
    """Every fenced block, in order."""
    found = [
        Block(match[1], match[2], TEXT.count("\n", 0, match.start()) + 1)
        for match in _FENCED.finditer(TEXT)
    ]
    assert 2 * len(found) == len(_FENCE.findall(TEXT)), "a fence without a kind, or one in another"
    return found


def table(*heads: str) -> list[list[str]]:
    """The rows of the table whose first columns have these heads, each as a list of cells."""
    lines = TEXT.splitlines()
    [head] = [
        number
        for number, line in enumerate(lines)
        if line.startswith("|") and _cells(line)[: len(heads)] == list(heads)
    ]
    rows = takewhile(lambda line: line.startswith("|"), lines[head + 2 :])
    return [_cells(row) for row in rows]


def codes(text: str) -> list[str]:
    """What stands in a text as inline code."""
    return _CODE.findall(text)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
