"""
`make bench-cold`: how long from a process' start to its first answer, under Lambda's own runtime client.

Each handler four ways, in turns so that a busy machine is unfair to all of them alike:

    built     our artifact: byte code compiled in, nothing that is not used
    plain     the same code and libraries without byte code, as `sam build` leaves them, in a folder that cannot
              be written to, as /var/task
    naive     plain, and a handler that imports all its libraries at the top and then ours
    empty     a handler that does nothing: what the runtime client itself takes

The answers are quick ones that open no connection to the database: an event that is refused, a request without a
token, a watchdog that cannot read its secret. Printed are the fastest round on the clock, and in brackets the
least processor time, which other processes on the machine disturb less. Lambda gives 512 MB three tenths of a
processor, so that there the second is what is waited for, three times over. It is not all of a cold start, which
also fetches the code and starts a machine; it is the part that the code decides.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from ops.tools.build.local import FUNCTION_NAMES, Built, built

EVENTS = Path(__file__).resolve().parents[3] / "infra" / "events"
WAYS = ("empty", "built", "plain", "naive")
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
}
NAIVE = {
    "cron": "boto3, httpx, psycopg, pydantic, stamina",
    "scheduler": "boto3, httpx, psycopg, pydantic, stamina",
    "watchdog": "aws_croniter, boto3, httpx, psycopg, pydantic",
    "admin": "boto3, cryptography.hazmat.primitives.asymmetric.ec, httpx, jwt, psycopg, pydantic",
}


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
    artifacts = built()
    with tempfile.TemporaryDirectory(prefix="reminders-cold-") as folder:
        ways = {name: _ways(artifacts, name, Path(folder)) for name in FUNCTION_NAMES}
        times = _measure(artifacts, ways, options.rounds)
    _show(times, artifacts, options.rounds)
    return 0


def _ways(artifacts: Built, function: str, folder: Path) -> dict[str, Way]:
    path = artifacts.path_of(function)
    # A naive function has all libraries: those of every artifact, behind its own.
    everything = [artifacts.directory / name for name in FUNCTION_NAMES.values()]
    plain = [_without_byte_code(part, folder) for part in path]
    naive = folder / f"naive_{function}"
    naive.mkdir()
    (naive / "naive.py").write_text(f"import {NAIVE[function]}\nfrom handlers.{function} import handler\n")
    (naive / "empty.py").write_text("def handler(event, context):\n    return {}\n")
    return {
        "empty": Way("empty.handler", [naive]),
        "built": Way(f"handlers.{function}.handler", path),
        "plain": Way(f"handlers.{function}.handler", plain),
        "naive": Way("naive.handler", [naive, *plain, *(_without_byte_code(part, folder) for part in everything)]),
    }


def _without_byte_code(part: Path, folder: Path) -> Path:
    copy = folder / part.parent.name / part.name
    if not copy.exists():
        shutil.copytree(part, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _measure(artifacts: Built, ways: Mapping[str, Mapping[str, Way]], rounds: int) -> dict[tuple[str, str], list[Took]]:
    times: dict[tuple[str, str], list[Took]] = {}
    for number in range(rounds + 1):
        for function, by_name in ways.items():
            for name, way in by_name.items():
                took = _first_answer(artifacts, function, way)
                if number:  # the first round fills the disk's cache
                    times.setdefault((function, name), []).append(took)
    return times


def _first_answer(artifacts: Built, function: str, way: Way) -> Took:
    event = _event(function)
    began = time.perf_counter()
    with artifacts.run(way.handler, ENVIRONMENT, way.path) as runtime:
        answer = runtime.invoke(event, seconds=30)
        seconds = time.perf_counter() - began
        spent = psutil.Process(runtime.process.pid).cpu_times()
    if answer.kind not in {"response", "error"}:
        raise RuntimeError(f"{function} did not start: {answer.payload}")
    return Took(seconds, spent.user + spent.system)


def _event(function: str) -> object:
    if function in {"cron", "watchdog"}:
        return {"action": "unknown"} if function == "cron" else {}
    event = json.loads((EVENTS / "scheduler-function-url.json").read_text())
    if function == "admin":
        event |= {"rawPath": "/runs", "headers": {}, "body": None}
        event["requestContext"]["http"] |= {"method": "GET", "path": "/runs"}
    else:
        event["headers"]["authorization"] = "none"
    return event


def _show(times: Mapping[tuple[str, str], list[Took]], artifacts: Built, rounds: int) -> None:
    what = f"Python {artifacts.version}, {artifacts.architecture}"
    table = Table(
        "function", *WAYS, "built / plain", title=f"ms to the first answer (processor); {rounds} rounds; {what}"
    )
    for function in FUNCTION_NAMES:
        best = {way: _best(times[function, way]) for way in WAYS}
        cells = [f"{took.clock * 1000:,.0f} ({took.processor * 1000:,.0f})" for took in best.values()]
        clock, processor = (getattr(best["built"], by) / getattr(best["plain"], by) for by in ("clock", "processor"))
        table.add_row(function, *cells, f"{clock:.2f} ({processor:.2f})")
    Console().print(table)


def _best(rounds: list[Took]) -> Took:
    return Took(min(took.clock for took in rounds), min(took.processor for took in rounds))


if __name__ == "__main__":
    sys.exit(main())
