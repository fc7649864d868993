"""The one number that all runs, of all versions, must agree on."""

from __future__ import annotations

import hashlib
import struct

from reminders.runs.lock import LOCK_KEY


def test_lock_key_recomputed() -> None:
    """The first 8 bytes of SHA-256 of the job name, as a signed big-endian bigint; never another."""
    digest = hashlib.sha256(b"assignment-reminder-cron").digest()
    assert struct.unpack(">q", digest[:8])[0] == LOCK_KEY
