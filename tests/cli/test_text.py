"""Text that others wrote comes out as it is: nothing acts on the terminal, nothing is markup, nothing vanishes."""

from __future__ import annotations

import ast
import io
import json
import logging
from contextlib import closing, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops import tables
from ops.cli import local_state, output
from ops.cli.main import SECTIONS, main
from reminders.alerts.message import Alert
from reminders.alerts.slack import blocks_of
from reminders.alerts.sns import subject_of
from reminders.runs import JOB_NAME
from reminders.runs.lock import RunLock
from reminders.text import printable
from tests.cli.command_lines import ALL, LINES, WITHOUT_TARGET
from tests.cli.site import Site
from tests.helpers.cases import table
from tests.nasty import NASTY, acting

COMMANDS = Path(output.__file__).parent
RUN = """
INSERT INTO public.cron_execution_logs
(job_name, trigger_source, event_id, completed_at, duration_ms, status, error_message, consecutive_failure_count)
VALUES (%s, 'schedule', %s, now(), 5, 'failed', %s, 3)
"""
SKIPPED = """
INSERT INTO public.cron_execution_logs (job_name, trigger_source, completed_at, status, note)
VALUES (%s, 'manual', now(), 'skipped', 'duplicate_tick')
"""
UNDELIVERED = """
WITH alert AS (
    INSERT INTO public.cron_alerts (kind, dedupe_key, payload) VALUES ('failure', 'failure:nasty', '{}') RETURNING id
)
INSERT INTO public.cron_alert_deliveries (alert_id, channel, attempts, last_error)
SELECT id, 'slack', 3, %s FROM alert
"""


@pytest.fixture
def nasty_site(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    """A stack in which every text that others may write is nasty, found as the local one."""
    monkeypatch.setenv("REMINDERS_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(local_state, "read", lambda: site.target.state)
    with site.stack.connect() as connection:
        connection.execute(RUN.encode(), [JOB_NAME, ALL, ALL])
        connection.execute(SKIPPED.encode(), [JOB_NAME])
        connection.execute(UNDELIVERED.encode(), [ALL])
    line = {"level": "ERROR", "timestamp": datetime.now(UTC).isoformat(), "message": ALL, "reason": ALL, "run_id": ALL}
    failed = {**line, "errorType": ALL, "errorMessage": ALL, "assignment_ids": [ALL]}
    local_state.log_file("cron").write_text(f"{json.dumps(line)}\n{json.dumps(failed)}\n")
    return site


def test_every_command_is_tried() -> None:
    """A new one that takes a target is missing here until someone says how it is called."""
    every = {name for names in SECTIONS.values() for name in names}
    assert every - WITHOUT_TARGET == {line[0] for line in LINES.values()}


# Of LINES, those that change nothing.
LOOKS = ("status", "logs", "logs, the functions'", "history", "messages", "plan", "doctor")


@table("as_json", [False, True])
@table("line", LOOKS)
def test_a_command_shows_nasty_text(
    nasty_site: Site, line: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and no character that acts; the holder of the lock has a nasty name as well."""
    check_command_with_nasty_text(nasty_site, line, as_json, capsys)


@pytest.mark.matrix
@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
@pytest.mark.parametrize("line", [line for line in LINES if line not in LOOKS])
def test_a_command_that_acts_shows_nasty_text(
    nasty_site: Site, line: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same, each on a stack of its own."""
    if as_json and line == "roles":
        pytest.skip("it prints SQL")
    check_command_with_nasty_text(nasty_site, line, as_json, capsys)


def check_command_with_nasty_text(
    nasty_site: Site, line: str, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    login = nasty_site.target.secret(nasty_site.target.environment("cron")["DATABASE_SECRET"])
    name = NASTY["rich's closing tag"] + NASTY["escape sequence"]
    with closing(psycopg.connect(login, autocommit=True, application_name=name)) as held, RunLock(held).lease(60):
        code = main([*LINES[line], *(["--json"] if as_json else [])])
    captured = capsys.readouterr()
    assert code in {0, 1, 4}, captured.err
    assert ([], False) == (acting(captured.out + captured.err), "Unexpected" in captured.err), captured.err


def test_markup_is_shown_and_not_obeyed(nasty_site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in brackets does not vanish."""
    assert 0 == main(["logs", "--json"])
    assert ALL == json.loads(capsys.readouterr().out.splitlines()[-1])["error_message"]
    main(["status"])
    captured = capsys.readouterr().out
    assert [] == [
        part for part in ("[/x]", "[red]word[/red]", "[link=", ":pile_of_poo:", "\\x1b[31m") if part not in captured
    ]


@table("kind", NASTY)
def test_the_printer(kind: str) -> None:
    """Everything that can be printed: text, a cell, a heading, a name, JSON."""
    text = NASTY[kind]
    said = io.StringIO()
    with redirect_stdout(said):
        console = output.out()
        console.print(text, tables.styled(text, "bold"))
        console.print(tables.table([text], [[text], [None]]))
        console.print(output.pairs([(text, text)]))
        output.show_json({text: text})
    assert [] == acting(said.getvalue())
    assert printable(text).split()[0] in said.getvalue()


def test_only_the_printer_prints() -> None:
    """rich's own Console, Text and markup are output's alone; click.echo prints what cannot be foreign."""
    assert [] == [file.name for file in COMMANDS.rglob("*.py") if file.name != "output.py" and prints_itself(file)]


def prints_itself(file: Path) -> bool:
    tree = ast.parse(file.read_text())
    imported = {
        f"{node.module}.{name.name}"
        for node in _outside_of_types(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich")
        for name in node.names
    }
    prints = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return bool(imported) or "print" in prints


def _outside_of_types(tree: ast.Module) -> list[ast.AST]:
    """Without what stands under `if TYPE_CHECKING`."""
    typing = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    hidden = {inner for node in typing for inner in ast.walk(node)}
    return [node for node in ast.walk(tree) if node not in hidden]


@table("kind", NASTY)
def test_an_alert(kind: str) -> None:
    """In Slack and by SNS: no mention, no link, nothing that acts; each value on its line."""
    text = NASTY[kind]
    alert = Alert("failure", text, text, text, 2, schedule=text)
    blocks = blocks_of(alert)
    formatted = [blocks["text"], *_texts(blocks["blocks"], "mrkdwn")]
    headings = _texts(blocks["blocks"], "plain_text")
    assert [] == acting("".join([*formatted, *headings, subject_of(alert), alert.text()]))
    # Slack parses no mention and no link in plain text.
    assert [] == [part for part in formatted for tag in ("<!", "<@", "<http", "<script") if tag in part]
    assert len(alert.text().splitlines()) == len(Alert("failure", "x", "x", "x", 2, schedule="x").text().splitlines())


def _texts(blocks: Any, kind: str) -> list[str]:
    """The text objects of `kind`."""
    if isinstance(blocks, dict):
        own = [blocks["text"]] if blocks.get("type") == kind else []
        return own + [text for value in blocks.values() for text in _texts(value, kind)]
    return [text for block in blocks for text in _texts(block, kind)] if isinstance(blocks, list) else []


@table("kind", NASTY)
def test_a_log_line(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line of ASCII that gives the text back when it is parsed."""
    from reminders.telemetry import logger

    said = io.StringIO()
    for handler in logger._logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            monkeypatch.setattr(handler, "stream", said)
    monkeypatch.setattr(logger._logger, "level", logging.INFO)
    logger.error("nasty", extra={"reason": NASTY[kind]})
    line = said.getvalue()
    assert ([], 1, True) == (acting(line), len(line.splitlines()), line.isascii())
    assert NASTY[kind] == json.loads(line)["reason"]
