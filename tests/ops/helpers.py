"""Small things that several tests of the local stack use."""

from __future__ import annotations

from pathlib import Path


def installed() -> list[Path | None]:
    """The wheel's PostgreSQL (None: the default), and each that Debian's packages installed."""
    return [None, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
