"""`supabase db push` where the Supabase CLI cannot be had: it takes the same options and folder, and runs dbmate."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops.migrations import migrate


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="supabase")
    parser.add_argument("command", choices=["db"])
    parser.add_argument("action", choices=["push"])
    # Without it the real one asks, and takes the lines that were pasted after it for the answer.
    parser.add_argument("--yes", action="store_true", required=True)
    parser.add_argument("--db-url", required=True)
    migrate(parser.parse_args(arguments).db_url, Path("supabase/migrations"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
