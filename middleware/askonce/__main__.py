"""``python -m askonce`` is the command ``askonce``."""

from __future__ import annotations

from askonce.cli import main

main()
