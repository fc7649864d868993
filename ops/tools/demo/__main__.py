"""`make demo`: exit status 0 when everything was as the story says, 1 when it was not."""

from __future__ import annotations

import argparse
import os
import sys
import time

from rich.console import Console

from ops.tools.demo.stage import Stage


def main() -> int:
    """Tell the story; what cannot start says why in a sentence."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--assignments", type=int, default=10_000, metavar="N")
    options = parser.parse_args()
    began = time.monotonic()
    stage = Stage(Console(width=None if sys.stdout.isatty() else 100))
    # Before the first import of the functions, whose logger reads its level then: their lines are not the story.
    os.environ.update({"POWERTOOLS_LOG_LEVEL": "CRITICAL", "POWERTOOLS_METRICS_DISABLED": "true"})
    from ops.tools.demo import story

    story.tell(stage, options.assignments)
    return stage.curtain(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
