"""
Tools that live in environments of their own: build/NAME, made from the hashed lock NAME.lock at first use.

A stamp shows whether it still matches the lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from pathlib import Path

from ops.tools.build.artifact import LOCKS, ROOT, install_into


def environment(name: str) -> Path:
    """The virtual environment of `name`, installed if need be."""
    lock, home = LOCKS / f"{name}.lock", ROOT / "build" / name
    stamp, wanted = home / ".stamp", hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    home.parent.mkdir(exist_ok=True)
    # Tests run in several processes, and each may be the first to ask.
    with (home.parent / f".{name}.lock").open("w") as only_one:
        fcntl.flock(only_one, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(home, ignore_errors=True)
            install_into(home, lock)
            stamp.write_text(wanted)
    return home
