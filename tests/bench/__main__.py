"""``python -m tests.bench [requests | eviction | memory | backends]``: what things cost, in ratios.

``requests``, which is what is measured if nothing is named: what a hit and a miss cost.
``eviction``: hit ratios where there is no room for all. ``memory``: what an entry weighs, and
whether a get or a set costs more where there is more. ``backends``: hits and writes on a real Redis
server, and hits of the dual cache. Each prints tables in Markdown, from one run.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

PARTS: Final = ("requests", "eviction", "memory", "backends")


def main(named: list[str]) -> None:
    """Measure the parts that are named, and print their tables."""
    unknown = [name for name in named if name not in PARTS]
    if unknown:
        sys.exit(f"{unknown[0]}: no such part. Name some of: {', '.join(PARTS)}")
    for number, name in enumerate(named or PARTS[:1]):
        if number:
            print()
        try:
            part = import_module(f"tests.bench.{name}")
        except ModuleNotFoundError as missing:
            print(f"{name}: not measured, {missing.name} is not installed: pip install '.[bench]'")
        else:
            part.report()


if __name__ == "__main__":
    main(sys.argv[1:])
