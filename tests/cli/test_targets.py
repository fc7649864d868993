"""Which target a command takes: what was named beats what was found, and every command says which it is."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.cli import local_state
from ops.cli.main import SECTIONS, main
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.choose import choose
from ops.local.database import apply_shim, create_database, drop_database
from ops.local.server import MIGRATOR
from tests.cli.command_lines import LINES, WITHOUT_TARGET
from tests.cli.site import Site
from tests.helpers.cases import table

NOWHERE = "postgresql://x:hunter2@127.0.0.1:1/x"


@pytest.fixture
def found(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A local stack that runs."""
    monkeypatch.setattr(local_state, "read", lambda: site.target.state)
    return site


CHOICES: dict[str, tuple[TargetOptions, dict[str, str], str, str]] = {
    "nothing named": (TargetOptions(), {}, "Local", "it is running"),
    "DATABASE_URL": (TargetOptions(), {"DATABASE_URL": NOWHERE}, "BareDatabase", "DATABASE_URL"),
    "--database": (TargetOptions(database=NOWHERE), {}, "BareDatabase", "--database"),
    "--database and DATABASE_URL": (
        TargetOptions(database=NOWHERE),
        {"DATABASE_URL": "x"},
        "BareDatabase",
        "--database",
    ),
    "REMINDERS_STACK": (
        TargetOptions(),
        {"REMINDERS_STACK": "x", "DATABASE_URL": NOWHERE},
        "Deployed",
        "REMINDERS_STACK",
    ),
    "--stack": (TargetOptions(stack="x"), {"REMINDERS_STACK": "y"}, "Deployed", "--stack"),
    "--local": (TargetOptions(local=True), {"REMINDERS_STACK": "y", "DATABASE_URL": NOWHERE}, "Local", "--local"),
}


@table("case", CHOICES)
def test_what_was_named_is_taken(found: Site, case: str) -> None:
    """An option before a variable, a variable before a stack that happens to run."""
    options, environment, kind, chosen_by = CHOICES[case]
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        target = choose(options)
    assert (kind, chosen_by) == (type(target).__name__, target.chosen_by)


def test_the_local_stacks_own_url_is_the_local_stack(found: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `eval "$(reminders local env)"` nothing is lost: functions and schedule are known."""
    monkeypatch.setenv("DATABASE_URL", found.target.state.database_url)
    assert "Local" == type(choose(TargetOptions())).__name__


def test_two_targets_are_refused(found: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong use."""
    assert 2 == main(["status", "--local", "--stack", "x"])
    assert "Name one" in capsys.readouterr().err


# How a target is made that nothing can be done with, what stands on standard error, and the exit codes.
Situation = Callable[[Any, Site], AbstractContextManager[list[str]]]


def no_target(patch: pytest.MonkeyPatch, site: Site) -> AbstractContextManager[list[str]]:
    return nullcontext([])


def database_away(patch: pytest.MonkeyPatch, site: Site) -> AbstractContextManager[list[str]]:
    return nullcontext(["--database", NOWHERE])


def password_rejected(patch: pytest.MonkeyPatch, site: Site) -> AbstractContextManager[list[str]]:
    wrong = psycopg.conninfo.conninfo_to_dict(site.stack.owner_dsn)
    return nullcontext(["--database", "postgresql://postgres:hunter2@{host}:{port}/{dbname}".format(**wrong)])


@contextmanager
def migrations_missing(patch: pytest.MonkeyPatch, site: Site) -> Any:
    server = site.stack.server
    empty = create_database(server, f"empty_{uuid.uuid4().hex[:6]}")
    try:
        apply_shim(server, empty)
        yield ["--database", server.dsn(MIGRATOR, empty)]
    finally:
        drop_database(server, empty)


def another_version(patch: pytest.MonkeyPatch, site: Site) -> AbstractContextManager[list[str]]:
    patch.setattr(local_state, "read", lambda: local_state._read(json.dumps({"pid": 1, "future": True})))
    return nullcontext([])


def database_url_alone(patch: pytest.MonkeyPatch, site: Site) -> AbstractContextManager[list[str]]:
    patch.setenv("DATABASE_URL", site.stack.owner_dsn)
    return nullcontext([])


NEEDS_A_STACK = {"run", "pause", "resume", "alert-test", "roles", "logs, the functions'"}
# What is said, and by which exit codes; a command that needs a stack is refused as wrong use where there is none.
SITUATIONS: dict[str, tuple[Situation, str, set[int]]] = {
    "no target": (no_target, "no stack to work on", {3}),
    "the database is away": (database_away, "onnection refused", {1, 3}),
    "the password is rejected": (password_rejected, "rejected the password", {1, 3}),
    "migrations are missing": (migrations_missing, "", {0, 1}),
    "a local stack of another version": (another_version, "of another version", {3}),
    "DATABASE_URL alone": (database_url_alone, "", {0, 1}),
}


@table("situation", SITUATIONS)
@table("command", LINES)
def test_no_command_ends_in_a_traceback(
    site: Site,
    command: str,
    situation: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A sentence and a documented exit code, whatever is not there."""
    monkeypatch.setenv("REMINDERS_STATE_DIR", str(tmp_path))
    make, words, codes = SITUATIONS[situation]
    with pytest.MonkeyPatch.context() as patched, make(patched, site) as where:
        code = main([*LINES[command], *where])
    printed = capsys.readouterr()
    said = printed.out + printed.err
    assert ("Traceback" in said, "Unexpected" in said, "unexpected" in said, "hunter2" in said) == (False,) * 4, said
    if command in NEEDS_A_STACK and (where or situation == "DATABASE_URL alone"):
        assert (2, True) == (code, "needs a stack" in said), said
    else:
        assert (True, True) == (code in codes, words in said), (code, said)
    if 3 not in codes or where:
        assert "Target: database " in printed.err


def test_every_command_has_the_options_of_a_target() -> None:
    """A command without them would not say what it works on."""
    from ops.cli.main import cli, Commands  # noqa: I001

    assert isinstance(cli, Commands)
    names = [name for names in SECTIONS.values() for name in names if name not in WITHOUT_TARGET]
    options = {name: {option for p in cli.get_command(None, name).params for option in p.opts} for name in names}  # type: ignore[arg-type,union-attr]
    assert [] == [name for name in names if not {"--stack", "--local", "--database-url"} <= options[name]]


def test_doctor_with_a_database_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What needs a stack is skipped and says so; the database's own checks are done."""
    monkeypatch.setenv("DATABASE_URL", site.stack.owner_dsn)
    monkeypatch.setattr(local_state, "read", lambda: None)
    assert 0 == main(["doctor", "--json"])
    found = {finding["check"]: finding["level"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert ("ok", "ok", "skipped", "skipped") == (
        found["database"],
        found["shapes"],
        found["Lambda retries"],
        found["login of cron_runner"],
    )


def test_a_defect_is_a_sentence_as_well(
    found: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its text may quote anything, so only the class is named; a variable shows where."""
    from ops.cli.commands import status

    monkeypatch.setattr(status, "gather", lambda target: 1 // 0)
    assert 1 == main(["status"])
    assert "Unexpected ZeroDivisionError" in capsys.readouterr().err
    monkeypatch.setenv("REMINDERS_TRACEBACK", "1")
    assert 1 == main(["status"])
    assert "Traceback" in capsys.readouterr().err


def test_down_ends_a_stack_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is known whatever else the file says."""
    import fcntl

    monkeypatch.setenv("REMINDERS_STATE_DIR", str(tmp_path))
    with local_state.state_file().open("w") as file:
        file.write(json.dumps({"pid": 12345, "future": True}))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert 12345 == local_state.running_pid()
