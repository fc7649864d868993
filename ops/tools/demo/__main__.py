"""`make demo`: exit status 0 when every check passed, 1 when one failed."""

from __future__ import annotations

import argparse
import os
import sys
import time

from rich.console import Console


def main() -> int:
    """Play the demo; return its exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--assignments", type=int, default=10_000, metavar="N")
    options = parser.parse_args()
    started = time.monotonic()
    # The server that DATABASE_URL names may be production: the demo has one of its own.
    os.environ.pop("DATABASE_URL", None)
    # Before the first import of the functions: their logger reads its level then, and their log is not for the demo.
    os.environ.update({"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_METRICS_DISABLED": "true"})
    from ops.tools.demo import story
    from ops.tools.demo.play import Play

    play = Play(Console(width=None if sys.stdout.isatty() else 100))
    story.play_all(play, options.assignments)
    return play.conclude(time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main())
