"""How long the long pages take, and how large they are."""

from __future__ import annotations

import time
from collections.abc import Callable

from reminders.database import Connection
from tests.console.visitors import ORG, Console, many, rows

NEEDS = "/console/needs-contact"
# What Lambda answers with at most (AWS: "Lambda quotas").
LARGEST_ANSWER = 6 * 1024 * 1024


def fastest(call: Callable[[], object], times: int = 12) -> float:
    """Seconds of the fastest of some calls: a busy machine is slower, never faster."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)


def test_ten_thousand_waiting_assignments_open_quickly(console: Console, filled: Connection) -> None:
    """Below 300 ms, with counts, names and notifications."""
    many(filled, 10_000)
    filled.execute("ANALYZE")
    visitor = console.admin(ORG)
    assert 0.3 > fastest(lambda: visitor.get(NEEDS))


def test_a_hundred_thousand_rows_as_csv(console: Console, filled: Connection) -> None:
    """In 21 parts, each far below what Lambda can answer with, even if every name were as long as it can be."""
    many(filled, 100_000)
    name = "å" * 60
    filled.execute("UPDATE auth.users SET raw_user_meta_data = jsonb_build_object('full_name', %s::text)", [name])
    filled.execute("ANALYZE")
    visitor = console.admin(ORG)
    page = visitor.get(NEEDS)
    part = visitor.get(f"{NEEDS}.csv")
    assert "so there are 21 files" in page.text
    assert 5_000 == len(rows(part.content.decode()))
    # As JSON, where a letter outside of ASCII takes six characters.
    assert LARGEST_ANSWER > len(part.content.decode().encode("ascii", "backslashreplace"))
