"""Small things that several tests of the local stack use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def installed() -> list[Path | None]:
    """The wheel's PostgreSQL (None: the default), and each that Debian's packages installed."""
    return [None, *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]


def eventually(met: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
