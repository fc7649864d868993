"""
What all tests share: one PostgreSQL server and one AWS a session, one database a test.

A database is a copy of a migrated template and takes some 50 ms; a test never cleans up after itself.
On a disk it takes 350 ms, for it is 300 files, so the server lives in memory where that can be had.
The folder `ops` has a `server` of its own, once for each PostgreSQL that is installed.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import ssl
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from ops.local.aws import Aws
from ops.local.database import create_database, drop_database, give_logins, prepare_template
from ops.local.server import MIGRATOR, Server, any_server
from reminders.database import Connection
from tests.cli.operated import ASSIGNMENTS, Operated, local_up
from tests.helpers.connections import AsRole, connect_as
from tests.helpers.passwords import hash_passwords_once

SETTINGS = Path(__file__).resolve().parent.parent / "functions" / "reminders" / "settings.py"


def _forget_the_shells_settings() -> None:
    """What is set where the tests are started must not change them: ALERT_THRESHOLD, PGSSLMODE, a proxy ..."""
    ours = set(re.findall(r'\benv, "([A-Z_]+)"', SETTINGS.read_text(encoding="utf-8")))
    for name in set(os.environ):
        if name in ours or name.startswith(("PG", "POWERTOOLS_", "REMINDERS_ST", "REMINDERS_DATABASE")):
            del os.environ[name]
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1", "localhost"]))


_forget_the_shells_settings()
# Each client of httpx reads the machine's certificates, which takes 20 ms. All tests speak plain HTTP.
ssl.create_default_context = functools.cache(ssl.create_default_context)  # type: ignore[assignment]


@pytest.hookimpl(optionalhook=True)  # unknown without pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores, because many tests wait for other processes."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with _temp_directory_in_memory(), any_server() as running:
        yield running


@contextmanager
def _temp_directory_in_memory() -> Iterator[None]:
    """Containers often have a /dev/shm of 64 MB, or one where no program may run: that is left alone."""
    memory = Path("/dev/shm")
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 6 << 30
    if not roomy or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        yield
    else:
        with tempfile.TemporaryDirectory(prefix="reminders-tests-", dir=memory) as folder:
            os.chmod(folder, 0o711)  # root's server runs as another user, who must get in
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(tempfile, "tempdir", folder)
                yield


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """A migrated database to copy, on a server where our roles can log in."""
    name = prepare_template(server)
    give_logins(server, name)
    hash_passwords_once(server)
    return name


@contextmanager
def fresh_database(server: Server, template: str) -> Iterator[str]:
    name = create_database(server, f"test_{uuid.uuid4().hex[:12]}", template)
    try:
        yield name
    finally:
        drop_database(server, name)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[str]:
    """The name of a migrated database of the test's own."""
    with fresh_database(server, template) as name:
        yield name


@pytest.fixture(scope="module")
def module_database(server: Server, template: str) -> Iterator[str]:
    """One for all tests of a module: for what is slow to fill, and for hypothesis."""
    with fresh_database(server, template) as name:
        yield name


@pytest.fixture
def owner(server: Server, database: str) -> Iterator[Connection]:
    """Autocommitting, as `postgres`, who owns the tables."""
    with psycopg.connect(server.dsn(MIGRATOR, database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def as_role(server: Server, database: str) -> Iterator[AsRole]:
    """Makes autocommitting connections: our roles log in, the others are what the superuser becomes."""
    with ExitStack() as stack:
        yield lambda role: stack.enter_context(connect_as(server, database, role))


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    """Secrets Manager and SNS on loopback, for this process and its children."""
    with Aws.start() as running, pytest.MonkeyPatch.context() as environment:
        for name, value in running.environment().items():
            environment.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """The stack of `reminders local up`, a process of its own, for the tests of the command and of the runbook."""
    with local_up(tmp_path_factory.mktemp("state"), "--assignments", str(ASSIGNMENTS), "--days", "40") as running:
        yield running
