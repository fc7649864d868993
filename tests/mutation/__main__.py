"""
Mutation tests: does a test fail when the code is wrong? `make mutants`

    sql.toml        wrong versions of the SQL, written by hand, and the tests that must notice
    python.toml     the Python modules, which cosmic-ray mutates, and their tests
    killed.txt      the mutants that a test has noticed
    survivors.toml  those that no test can notice, each with its reason

The tests run in a copy of the project. The exit status is 1 if a mutant survives that was killed before, or one that
survivors.toml does not explain.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from coverage import CoverageData

from ops.tools.build.artifact import ROOT
from ops.tools.build.environments import environment

HERE = Path(__file__).resolve().parent
KILLED, SURVIVORS = HERE / "killed.txt", HERE / "survivors.toml"
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", "dist", ".*_cache", "__pycache__", ".hypothesis")
SECONDS = 300  #: a mutant whose tests take longer is killed: an endless loop. Without a mutant they take a minute


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file with one mistake. Its name has no line number, so that it stays the same when other lines change."""

    name: str
    file: str
    code: str
    tests: tuple[str, ...]
    line: int = 0  #: where the mistake is, if it is Python


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Which mutants the tests kill.")
    parser.add_argument("part", nargs="*", help="only mutants of files whose path contains one of these; else all")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only one of N mutants, as a sample")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="add the killed ones to killed.txt")
    parser.add_argument("--survivors", action="store_true", help="only those that killed.txt does not name")
    options = parser.parse_args()
    chosen = list(mutants(options.part))[:: options.every]
    before = set(KILLED.read_text(encoding="utf-8").splitlines()) if KILLED.exists() else set()
    if options.survivors:
        chosen = [mutant for mutant in chosen if mutant.name not in before]
    tried: list[str] = []
    killed: set[str] = set()
    try:
        for number, (mutant, noticed) in enumerate(outcomes(chosen, options.workers), 1):
            print(f"{number}/{len(chosen)}  {'killed  ' if noticed else 'SURVIVED'}  {mutant.name}", flush=True)
            tried.append(mutant.name)
            killed |= {mutant.name} if noticed else set()
    finally:  # also after Ctrl-C
        if options.write:
            KILLED.write_text("".join(f"{name}\n" for name in sorted(before | killed)), encoding="utf-8")
    return report(tried, killed, before)


def mutants(parts: Sequence[str]) -> Iterator[Mutant]:
    """Of the files whose path contains one of `parts`; without parts, of all."""
    for mutant in [*_of_sql(), *_of_python(parts)]:
        if not parts or any(part in mutant.file for part in parts):
            yield mutant


def _of_sql() -> Iterator[Mutant]:
    for entry in _read(HERE / "sql.toml")["file"]:
        file = entry["path"]
        text = (ROOT / file).read_text(encoding="utf-8")
        for it in entry["mutants"]:
            if text.count(it["right"]) != 1:
                raise SystemExit(
                    f"sql.toml: {it['name']!r} must stand once in {file}, not {text.count(it['right'])} times"
                )
            yield Mutant(f"{file} | {it['name']}", file, text.replace(it["right"], it["wrong"]), tuple(entry["tests"]))


def _of_python(parts: Sequence[str]) -> Iterator[Mutant]:
    for entry in _read(HERE / "python.toml")["group"]:
        for module in entry["modules"]:
            if not parts or any(part in module for part in parts):
                yield from _of_module(module, tuple(entry["tests"]))


def _of_module(module: str, tests: tuple[str, ...]) -> Iterator[Mutant]:
    python = environment("mutation") / "bin" / "python"
    found = subprocess.run([python, HERE / "generate.py", ROOT / module], stdout=PIPE, check=True).stdout
    lines = (ROOT / module).read_text(encoding="utf-8").splitlines()
    names: Counter[str] = Counter()
    for it in json.loads(found):
        name = f"{module} | {it['operator']} | {lines[it['place'][0] - 1].strip()}"
        names[name] += 1
        yield Mutant(f"{name} #{names[name]}" if names[name] > 1 else name, module, it["code"], tests, it["place"][0])


def _read(file: Path) -> Any:
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def outcomes(chosen: Sequence[Mutant], workers: int) -> Iterator[tuple[Mutant, bool]]:
    """
    Each mutant, and whether a test noticed it. Mutants whose tests fail anyway are left out, and named.

    Each group of tests first runs without a mistake, and coverage.py records which test runs which line. For a mutant,
    the tests that run its line come first. All the others follow, because a process that a test starts is not recorded.
    """
    with tempfile.TemporaryDirectory(prefix="reminders-mutants-") as name, ThreadPoolExecutor(workers) as pool:
        folder = Path(name)
        with _copies(folder, workers) as idle:

            def fails(mutant: Mutant, **more: object) -> bool:
                worker = idle.get()
                try:
                    return _ask(worker, mutant, more) == "killed"
                finally:
                    idle.put(worker)

            groups = {mutant.tests: _without_mistake(mutant) for mutant in chosen}
            recorded = {tests: folder / f"coverage-{number}" for number, tests in enumerate(groups)}
            first_run = pool.map(lambda it: fails(it, coverage=str(recorded[it.tests])), groups.values())
            failing = {tests for tests, failed in zip(groups, first_run, strict=True) if failed}
            for tests in failing:
                print(f"LEFT OUT, because these tests fail without a mutant: {' '.join(tests)}", file=sys.stderr)
            usable = [mutant for mutant in chosen if mutant.tests not in failing]
            noticed = pool.map(lambda it: fails(it, first=_tests_of_its_line(it, recorded[it.tests])), usable)
            yield from zip(usable, noticed, strict=True)


def _without_mistake(mutant: Mutant) -> Mutant:
    return Mutant("", mutant.file, (ROOT / mutant.file).read_text(encoding="utf-8"), mutant.tests)


def _tests_of_its_line(mutant: Mutant, recorded: Path) -> list[str]:
    """The tests that have run the mutant's line, the quick ones first. If none has: those of the nearest line."""
    data = CoverageData(str(recorded))
    data.read()
    copies = [file for file in data.measured_files() if file.endswith(mutant.file)]
    by_line = data.contexts_by_lineno(copies[0]) if copies else {}
    run = {line: {name.rpartition("|")[0] for name in names} - {""} for line, names in by_line.items()}
    lines = [line for line, tests in run.items() if tests]
    if not lines:
        return []
    nearest = min(lines, key=lambda line: (line > mutant.line, abs(line - mutant.line)))
    return sorted(run[nearest], key=lambda test: [not test.startswith(group) for group in mutant.tests])


@contextmanager
def _copies(folder: Path, number: int) -> Iterator[queue.Queue[Popen[str]]]:
    """Workers, each in a copy of the project."""
    idle: queue.Queue[Popen[str]] = queue.Queue()
    workers = [_worker(folder / str(index)) for index in range(number)]
    try:
        for worker in workers:
            idle.put(worker)
        yield idle
    finally:
        for worker in workers:
            worker.communicate()


def _worker(copy: Path) -> Popen[str]:
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED, symlinks=True)
    path = os.pathsep.join([str(copy / "functions"), str(copy)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.mutation.worker"]
    return Popen(command, cwd=copy, env=environment, stdin=PIPE, stdout=PIPE, text=True)


def _ask(worker: Popen[str], mutant: Mutant, more: Mapping[str, object]) -> str:
    assert worker.stdin and worker.stdout
    order = {"file": mutant.file, "code": mutant.code, "tests": mutant.tests, "seconds": SECONDS, **more}
    print(json.dumps(order), file=worker.stdin, flush=True)
    answer = worker.stdout.readline().strip()
    if not answer:
        raise SystemExit("a worker ended; its error is above")
    return answer


def report(names: Sequence[str], killed: set[str], before: set[str]) -> int:
    explained = {entry["name"]: entry["why"] for entry in _read(SURVIVORS).get("survivor", [])}
    survived = [name for name in names if name not in killed]
    equivalent = [name for name in survived if name in explained]
    lost = [name for name in survived if name in before]
    new = [name for name in survived if name not in explained and name not in before]
    counted = len(names) - len(equivalent)
    score = 100 * len(killed) / counted if counted else 100.0
    print(f"{len(names)} mutants: {len(killed)} killed, {len(equivalent)} equivalent, {len(lost) + len(new)} survived")
    print(f"score without the equivalent ones: {score:.1f} %")
    for title, found in (("killed before", lost), ("neither killed nor explained", new)):
        if found:
            print(f"\nSurvived, {title}:", *found, sep="\n  ")
    return 1 if lost or new else 0


if __name__ == "__main__":
    sys.exit(main())
