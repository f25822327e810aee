"""The command ``askonce``.

Needs the extra ``cli``; without it, the command says what to install. The commands themselves
are in :mod:`askonce._commands`.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from askonce.errors import MissingExtraError


def main() -> None:
    """Run the command line; the entry point of ``askonce`` and ``python -m askonce``.

    Raises:
        SystemExit: Always, with the command's exit code: 0, 1 for wrong settings, a missing
            extra or a directory that cannot be written, 2 for wrong usage.
    """
    for package in ("typer", "rich"):
        if find_spec(package) is None:
            sys.exit(f"askonce: {MissingExtraError(package, 'cli')}")
    from askonce._commands import app  # noqa: PLC0415 (it needs the extra)

    app(prog_name="askonce")
