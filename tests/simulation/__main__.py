"""
`make simulate`: a charity's year.

    python -m tests.simulation --seed 7 --days 365 --assignments 300

One line a month, the totals at the end. When a promise is broken: the seed, the shortest story that still breaks it,
and exit status 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from ops.migrations import MIGRATIONS
from tests.simulation.runner import Runner
from tests.simulation.shrink import shortest
from tests.simulation.story import make_story

LONGEST = 50  # events that are printed


def main() -> int:
    """Exit status 0: every promise was kept."""
    options = _parser().parse_args()
    seed = random.randrange(10_000) if options.seed is None else options.seed
    story = make_story(seed, options.days, options.assignments, options.trouble)
    print(f"Seed {seed}: {options.days} days, {options.assignments} assignments, {len(story):,} events.", flush=True)
    with ExitStack() as stack:
        runner = Runner.start(stack, options.migrations)
        began = time.monotonic()
        failure = runner.run(story, options.days, lambda day, counted: _show(day, counted, began))
        if failure is None:
            print(f"Every promise was kept. {time.monotonic() - began:.1f} s.")
            return 0
        print(f"\nSeed {seed}, day {failure.day}: {failure.text}", flush=True)
        if options.shrink:
            short = shortest(runner, story, failure, options.shrink)
            print(f"\nThe shortest story found that still fails, {len(short.events)} events, day {short.failure.day}:")
            print("\n".join(f"  {event}" for event in short.events[-LONGEST:]))
            print(f"  → {short.failure.text}")
        print(f"\nAgain: make simulate SEED={seed} DAYS={options.days} ASSIGNMENTS={options.assignments}")
        return 1


def _show(day: int, counted: Counter[str], began: float) -> None:
    if (day + 1) % 30 == 0:
        totals = ", ".join(f"{number:,} {what}" for what, number in sorted(counted.items()))
        print(f"{time.monotonic() - began:6.1f} s  day {day + 1:3}: {totals}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="without it, a random one")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--assignments", type=int, default=300)
    parser.add_argument("--trouble", type=float, default=1.0, help="how many times as many faults as usual")
    parser.add_argument("--shrink", type=float, default=120, metavar="SECONDS", help="0: do not look for it")
    parser.add_argument("--migrations", type=Path, default=MIGRATIONS, help="the folder of another schema")
    return parser


if __name__ == "__main__":
    sys.exit(main())
