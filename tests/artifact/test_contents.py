"""What is in the artifacts, and what is not."""

from __future__ import annotations

import filecmp
import json
import subprocess
from pathlib import Path

import pytest

from ops.tools.build.__main__ import zipped_size
from ops.tools.build.artifact import ARTIFACTS, build
from ops.tools.build.local import FUNCTION_NAMES, Built

pytestmark = pytest.mark.matrix

LARGEST_ZIP = 8_000_000


@pytest.mark.parametrize("name", ARTIFACTS)
def test_zip_is_small(name: str, artifacts: Built) -> None:
    """Each zip has at most 8 MB."""
    assert LARGEST_ZIP >= zipped_size(artifacts.directory / name)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_nothing_that_lambda_brings_or_people_need(name: str, artifacts: Built) -> None:
    """No boto3, no tests, tools, docs or locks, no caches of other Pythons."""
    directory = artifacts.directory / name
    parts = {part for file in directory.rglob("*") for part in file.relative_to(directory).parts}
    tag = "cpython-" + artifacts.version.replace(".", "")

    assert not parts & {"boto3", "botocore", "s3transfer", "tests", "test", "ops", "docs", "migrations", "bin", "pip"}
    assert {tag} == {file.stem.rpartition(".")[2] for file in directory.rglob("*.pyc")}


@pytest.mark.parametrize("name", ARTIFACTS)
def test_every_source_has_byte_code_that_is_used_unchecked(name: str, artifacts: Built) -> None:
    """Unpacking gives sources new times; byte code that is checked against them would be made again, every time."""
    directory = artifacts.directory / name
    tag = "cpython-" + artifacts.version.replace(".", "")
    compiled = [file.parent / "__pycache__" / f"{file.stem}.{tag}.pyc" for file in directory.rglob("*.py")]

    assert [] == [file for file in compiled if not file.exists()]
    # PEP 552: after the magic number, 0b01 says "by hash, not by time", and 0b10 would say "check it".
    assert {1} == {int.from_bytes(file.read_bytes()[4:8], "little") for file in compiled}


@pytest.mark.parametrize("name", ["CronFunction", "PostgresLayer"])
def test_building_twice_gives_the_same_bytes(name: str, artifacts: Built, tmp_path: Path) -> None:
    """The same sources give the same bytes, wherever they are built."""
    build(name, tmp_path / "again", artifacts.architecture, artifacts.version)
    first, again = artifacts.directory / name, tmp_path / "again"
    files = files_in(first)

    assert files == files_in(again)
    assert ([], []) == filecmp.cmpfiles(first, again, files, shallow=False)[1:]


def files_in(directory: Path) -> list[str]:
    """Without the list of authorities: networks that look into TLS add their own to every one they find on a disk."""
    files = {str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file()}
    return sorted(files - {"certifi/cacert.pem"})


@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_handler_imports_from_its_own_artifact(function: str, artifacts: Built) -> None:
    """
    A handler finds all it imports in its artifact, its layers and Lambda's runtime, psycopg's binary among it.

    Importing needs no environment outside of Lambda, and takes nothing that the invocation does not use.
    """
    found = json.loads(_python(artifacts, function, f"import handlers.{function}"))

    assert "binary" == found["implementation"]
    assert [] == [name for name in UNUSED[function] if name in found["modules"]]


# What a function has no use for before it has something to say, or at all.
UNUSED = {
    "cron": ["pydantic", "cryptography", "jwt", "aws_croniter", "aws_lambda_powertools.event_handler"],
    "scheduler": ["httpx", "cryptography", "jwt", "aws_croniter", "reminders.alerts", "reminders.runs"],
    "watchdog": ["httpx", "stamina", "pydantic", "cryptography", "jwt", "aws_lambda_powertools.event_handler"],
    "admin": ["stamina", "aws_croniter", "reminders.alerts", "reminders.scheduling"],
    "courier": ["pydantic", "cryptography", "jwt", "aws_croniter", "aws_lambda_powertools.event_handler"],
    "feedback": ["jinja2", "httpx", "pydantic", "cryptography", "reminders.alerts", "reminders.scheduling"],
    "unsubscribe": ["httpx", "pydantic", "cryptography", "reminders.alerts", "reminders.scheduling"],
}


def test_psycopg_runs_on_its_own_libpq(artifacts: Built) -> None:
    """A wheel for another Python would silently fall back to a pure implementation, which needs a libpq to be there."""
    found = json.loads(_python(artifacts, "cron", "import psycopg"))

    assert str(artifacts.directory / "PostgresLayer") in found["pq"]
    assert found["libpq"] >= 150000


def _python(artifacts: Built, function: str, code: str) -> str:
    tell = (
        "import json, sys, psycopg, psycopg_binary.pq as pq; print(json.dumps({'implementation': psycopg.pq.__impl__, "
        "'modules': list(sys.modules), 'pq': pq.__file__, 'libpq': psycopg.pq.version()}))"
    )
    path = [*artifacts.path_of(function), artifacts.directory / "Runtime"]
    environment = {"PYTHONPATH": ":".join(map(str, path)), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(artifacts.python), "-s", "-c", f"{code}; {tell}"]
    return subprocess.run(command, env=environment, cwd=path[0], capture_output=True, text=True, check=True).stdout
