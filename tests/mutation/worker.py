"""
Runs tests against mutants, in a copy of the project: one order a line on standard input, one answer a line.

    {"file": ..., "code": the mutated text, "tests": [...], "seconds": 300}   ─▶   "killed" | "survived"

An order may name tests to run `first`, or a file for the `coverage` of the tests, line by line.
A child is forked for each mutant. Python, the libraries, PostgreSQL and a migrated template are there already, which
saves 3 s of each. The modules of functions/ are not: each child imports them anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3  # noqa: F401  imported here once, for all children
import httpx  # noqa: F401
import hypothesis  # noqa: F401
import jinja2  # noqa: F401
import moto.server  # noqa: F401
import psycopg  # noqa: F401
import pydantic  # noqa: F401
import pytest

from ops.local import server
from ops.local.server import Server

OPTIONS = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", os.environ.get("MUTATION_MARK", "not matrix")]

RECORDED = ["--cov=functions", "--cov-context=test", "--cov-report="]


def outcome(order: Mapping[str, Any], shared: Server) -> str:
    """Of the tests on the mutant. What takes too long is a kill, too: an endless loop."""
    file = Path(order["file"])
    original = file.read_text(encoding="utf-8")
    file.write_text(order["code"], encoding="utf-8")
    try:
        return "survived" if _passes(order, shared) else "killed"
    finally:
        file.write_text(original, encoding="utf-8")


def _passes(order: Mapping[str, Any], shared: Server) -> bool:
    child = os.fork()
    if child == 0:
        _run_tests(order, shared)
    deadline = time.monotonic() + float(order["seconds"])
    status = None
    while status is None and time.monotonic() < deadline:
        done, code = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if done else None
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # with the processes that its tests have left
    if status is None:
        os.waitpid(child, 0)
    return status == 0


def _run_tests(order: Mapping[str, Any], shared: Server) -> None:
    os.setsid()
    quiet = os.open(os.environ.get("MUTATION_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    @contextmanager
    def any_server(settings: object = None) -> Iterator[Server]:
        yield shared

    server.any_server = any_server  # tests/conftest.py imports it from there
    code = 3
    try:
        if "coverage" in order:
            os.environ["COVERAGE_FILE"] = order["coverage"]
            code = int(pytest.main([*OPTIONS, *RECORDED, *order["tests"]]))
        else:
            first = order.get("first") and int(pytest.main([*OPTIONS, *order["first"]]))
            code = first or int(pytest.main([*OPTIONS, *order["tests"]]))
    finally:
        os._exit(code)


def main() -> None:
    # Else a mutant could be found as byte code when the file is its old self again, with the same size and second.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with server.any_server() as shared:
        answers = os.fdopen(os.dup(1), "w")
        for line in sys.stdin:
            print(outcome(json.loads(line), shared), file=answers, flush=True)


if __name__ == "__main__":
    main()
