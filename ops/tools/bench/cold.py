"""
`make bench-cold`: how long from a process' start to its first answer, under Lambda's own runtime client.

Each handler is started in three ways. The ways take turns, so a busy machine slows all of them equally:

    built     our artifact: byte code compiled in, nothing that is not used
    plain     the same code and libraries without byte code, as `sam build` leaves them, in a folder that cannot
              be written to, as /var/task
    empty     a handler that does nothing: what the runtime client itself takes

The answers are quick ones that open no connection to the database: an event that is refused, a request without a
token, a page without a session, a watchdog that cannot read its secret. "console" is the admin function with its pages.
Printed are the fastest round on the clock, and in brackets the least processor time, which other processes on the
machine disturb less. With 512 MB, Lambda gives about 0.3 of a processor. A start there takes about three times the
processor time. This is not all of a cold start, which also fetches the code and starts a machine; it is the part that
the code decides. A second table has what our artifacts import before their first event, by library.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from ops.tools.build.local import Built, build_missing

Event = dict[str, Any]

EVENTS = Path(__file__).resolve().parents[3] / "infra" / "events"
WAYS = ("empty", "built", "plain")
ENVIRONMENT = {
    "AWS_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    # No server listens there: an invocation that asks for a secret fails at once, after its client was made.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_MAX_ATTEMPTS": "1",
    "DATABASE_SECRET": "database",
    "SCHEDULER_TOKEN_SECRET": "token",
    "SUPABASE_JWT_SECRET": "key",
    "SUPABASE_JWT_ISSUER": "https://project.example/auth/v1",
    "SUPABASE_URL": "https://project.example",
    "SUPABASE_PUBLISHABLE_KEY_SECRET": "publishable",
    "APP_URL": "https://app.example",
}
FUNCTIONS = ("cron", "scheduler", "watchdog", "admin", "courier")
IMPORTS_SHOWN = 12
Times = dict[str, float]


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds on the clock, and of processor time."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class Way:
    """One way to start one function: the handler's name and where it imports from."""

    handler: str
    path: list[Path]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.tools.bench.cold", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    artifacts = build_missing()
    with tempfile.TemporaryDirectory(prefix="reminders-cold-") as folder:
        Path(folder, "empty.py").write_text("def handler(event, context):\n    return {}\n")
        ways = {name: _ways(artifacts, name, Path(folder)) for name in FUNCTIONS}
        times = _measure(artifacts, ways, options.rounds)
    _show(times, artifacts, options.rounds)
    _show_imports({name: _imports(artifacts, name) for name in FUNCTIONS})
    return 0


def _ways(artifacts: Built, function: str, folder: Path) -> dict[str, Way]:
    path = artifacts.path_of(function)
    return {
        "empty": Way("empty.handler", [folder]),
        "built": Way(f"handlers.{function}.handler", path),
        "plain": Way(f"handlers.{function}.handler", [_without_byte_code(part, folder) for part in path]),
    }


def _without_byte_code(part: Path, folder: Path) -> Path:
    copy = folder / part.parent.name / part.name
    if not copy.exists():
        shutil.copytree(part, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _measure(artifacts: Built, ways: Mapping[str, Mapping[str, Way]], rounds: int) -> dict[tuple[str, str], list[Took]]:
    times: dict[tuple[str, str], list[Took]] = {}
    for number in range(rounds + 1):
        for start, (function, event) in _starts().items():
            for name, way in ways[function].items():
                took = _first_answer(artifacts, event, way)
                if number:  # the first round fills the disk's cache
                    times.setdefault((start, name), []).append(took)
    return times


def _starts() -> dict[str, tuple[str, Event]]:
    """By what is measured: the function and its first event."""
    request = json.loads((EVENTS / "scheduler-function-url.json").read_text())
    request["headers"]["authorization"] = "none"
    return {
        "cron": ("cron", {"action": "unknown"}),
        "scheduler": ("scheduler", request),
        "watchdog": ("watchdog", {}),
        "admin": ("admin", _get(request, "/runs")),
        "console": ("admin", _get(request, "/console/sign-in")),
        "courier": ("courier", {"action": "unknown"}),
    }


def _get(request: Event, path: str) -> Event:
    context = request["requestContext"]
    context = {**context, "http": {**context["http"], "method": "GET", "path": path}}
    return {**request, "rawPath": path, "headers": {}, "body": None, "requestContext": context}


def _first_answer(artifacts: Built, event: Event, way: Way) -> Took:
    began = time.perf_counter()
    with artifacts.run(way.handler, ENVIRONMENT, way.path) as runtime:
        answer = runtime.invoke(event, seconds=30)
        seconds = time.perf_counter() - began
        spent = psutil.Process(runtime.process.pid).cpu_times()
    if answer.kind not in {"response", "error"}:
        raise RuntimeError(f"{way.handler} did not start: {answer.payload}")
    return Took(seconds, spent.user + spent.system)


def _imports(artifacts: Built, function: str) -> Times:
    """Milliseconds of importing our artifact's handler, by library (`python -X importtime`)."""
    path = os.pathsep.join(map(str, [*artifacts.path_of(function), artifacts.directory / "Runtime"]))
    command = [str(artifacts.python), "-X", "importtime", "-c", f"import handlers.{function}"]
    done = subprocess.run(command, env={**ENVIRONMENT, "PYTHONPATH": path}, capture_output=True, text=True, check=True)
    found: Times = defaultdict(float)
    for own, module in re.findall(r"import time: +(\d+) \| +\d+ \| +(\S+)", done.stderr):
        library = module.partition(".")[0]
        name = "Python" if library in sys.stdlib_module_names else library
        found["ours" if name in {"handlers", "reminders"} else name] += int(own) / 1000
    return found


def _show_imports(found: Mapping[str, Times]) -> None:
    table = Table("library", *found, title="ms to import what a start needs")
    libraries = {library for times in found.values() for library in times}
    largest = sorted(libraries, key=lambda library: max(times.get(library, 0) for times in found.values()))
    for library in largest[: -IMPORTS_SHOWN - 1 : -1]:
        table.add_row(library, *(f"{times.get(library, 0):,.0f}" for times in found.values()))
    table.add_row("all", *(f"{sum(times.values()):,.0f}" for times in found.values()))
    Console().print(table)


def _show(times: Mapping[tuple[str, str], list[Took]], artifacts: Built, rounds: int) -> None:
    what = f"Python {artifacts.version}, {artifacts.architecture}"
    table = Table("start", *WAYS, "built / plain", title=f"ms to the first answer (processor); {rounds} rounds; {what}")
    for start in _starts():
        best = {way: _best(times[start, way]) for way in WAYS}
        cells = [f"{took.clock * 1000:,.0f} ({took.processor * 1000:,.0f})" for took in best.values()]
        clock, processor = (getattr(best["built"], by) / getattr(best["plain"], by) for by in ("clock", "processor"))
        table.add_row(start, *cells, f"{clock:.2f} ({processor:.2f})")
    Console().print(table)


def _best(rounds: list[Took]) -> Took:
    return Took(min(took.clock for took in rounds), min(took.processor for took in rounds))


if __name__ == "__main__":
    sys.exit(main())
