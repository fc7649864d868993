"""Waiting for something that happens soon."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(met: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
