"""Which advisory locks are held in a database."""

from __future__ import annotations

# PostgreSQL documentation, "pg_locks": a bigint key is in classid (high half) and objid (low half), objsubid 1.
HELD = """
    SELECT ((classid::bigint << 32) | objid::bigint) FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
