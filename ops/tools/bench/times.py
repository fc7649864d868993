"""Times of one thing done many times, as a row beside its limit."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter


def taken(work: Callable[[], object], times: int) -> list[float]:
    """Milliseconds, each of `times` times."""
    found = []
    for _ in range(times):
        began = perf_counter()
        work()
        found.append((perf_counter() - began) * 1000)
    return found


def row(what: str, milliseconds: list[float], limit: int) -> dict[str, object]:
    """Median and p99 (of fewer than a hundred, the slowest)."""
    p99 = statistics.quantiles(milliseconds, n=100)[98] if len(milliseconds) >= 100 else max(milliseconds)
    median = statistics.median(milliseconds)
    return {"what": what, "median ms": round(median, 2), "p99 ms": round(p99, 2), "limit ms": limit}
