"""Every block of the runbook and the README does what it says, here, or is checked as far as it can be."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import psycopg
import pytest

from ops.cli import ledger
from reminders.database import Connection
from reminders.runs.lock import LOCK_KEY, RunLock
from tests.docs.blocks import ROOT, RUNBOOK, Block, blocks, blocks_of
from tests.docs.desk import Desk
from tests.helpers.cases import first, table

BLOCKS = blocks()
SECTIONS = [
    "Overview",
    "Architecture Diagram",
    "Cron Schedule Registration",
    "Execution Log Schema",
    "Advisory Lock",
    "Alerting",
    "Manual Operations",
    "Troubleshooting",
    "Activity Registration Hook",
]
STORY = ["cron fires", "lock", "ReminderSchedulerService", "ledger", "unlock", "failure", "threshold", "alert"]
CHECKS = {"check: bash", "check: sam", "check: make", "check: diagram"}
RUNS = re.compile(r"run: (shell(, answer yes|, with webhook\.txt)?|sql as \w+(, holding the lock)?)")
# What changes something in production: each wants a warning above it.
CHANGES = re.compile(
    r"reminders (run(?! --dry)|pause|resume|unlock|alert-test|migrate$|roles)|sam deploy|aws \w+ (put|update|invoke"
    r"|subscribe)|curl .*PATCH|^INSERT|^UPDATE|pg_terminate|DATABASE_URL &&",
    re.M,
)

DEPLOY = ROOT / "docs" / "deploy.md"
# Run in one terminal by test_deploy_blocks.py, as far as possible.
DEPLOYING = [block for block in blocks_of(DEPLOY.name, DEPLOY.read_text()) if block.language == "sh"]
CHANGING = [block for block in blocks_of(RUNBOOK.name, RUNBOOK.read_text()) if CHANGES.search(block.text)]


def marked(pattern: str) -> list[Block]:
    return [block for block in BLOCKS if block.marker and re.fullmatch(pattern, block.marker)]


def by_line(block: Block) -> str:
    return str(block)


def test_every_block_says_how_it_is_tested() -> None:
    """A new one without a marker, or with one that no one knows, fails here."""
    known = [block for block in BLOCKS if block.marker and (block.marker in CHECKS or RUNS.fullmatch(block.marker))]
    assert [] == [str(block) for block in BLOCKS if block not in known]


def test_every_block_that_changes_production_has_a_warning() -> None:
    """Right above it."""
    warned = [block for block in CHANGING if any("**Production**" in line for line in block.before)]
    assert [str(block) for block in CHANGING] == [str(block) for block in warned]


@pytest.mark.parametrize("block", first(2, marked(r"run: shell.*")), ids=by_line)
def test_shell(block: Block, desk: Desk, tmp_path: Path) -> None:
    """Bash, stopping at the first failure."""
    (tmp_path / "webhook.txt").write_text(desk.webhook)
    keeper, terminal = pty.openpty()
    os.write(keeper, b"y\n")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        env=desk.environment,
        cwd=tmp_path,
        stdin=terminal if "answer yes" in (block.marker or "") else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    os.close(keeper)
    os.close(terminal)
    assert 0 == done.returncode, done.stdout + done.stderr


@table("block", marked(r"run: sql as \w+"), ids=by_line)
def test_sql(block: Block, desk: Desk) -> None:
    """As the role that the text names, on the local stack's database."""
    with psycopg.connect(desk.state.database_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('role', %s, false)", [(block.marker or "").rpartition(" ")[2]])
        connection.execute(block.text.encode())


def test_sql_frees_a_stuck_lock(desk: Desk, runner: Connection) -> None:
    """The holder's session ends, and nothing of the grant stays."""
    (block,) = marked(r"run: sql as postgres, holding the lock")
    with RunLock(runner).lease(60) as held, psycopg.connect(desk.state.database_url, autocommit=True) as connection:
        assert held and ledger.holder(connection)
        member = "SELECT pg_has_role('postgres', 'cron_runner', 'USAGE')"
        before = connection.execute(member).fetchone()
        connection.execute(block.text.encode())
        with pytest.raises(psycopg.OperationalError):
            runner.execute("SELECT 1")
        assert (before, None) == (connection.execute(member).fetchone(), ledger.holder(connection))


def test_verification_of_the_hook_finds_that_it_works(desk: Desk) -> None:
    """The block's answer is true, not only without an error."""
    (block,) = [block for block in marked(r"run: sql as postgres") if "the_date_moved" in block.text]
    with psycopg.connect(desk.state.database_url, autocommit=True) as connection:
        cursor = connection.execute(block.text.encode())
        answers = [cursor.fetchall() for _ in cursor.results() if cursor.description]
    assert [(True,)] in answers


def test_the_key_in_sql_is_the_key_in_the_code(desk: Desk) -> None:
    """The SQL that releases a lock releases the right one."""
    (block,) = [block for block in marked(r"run: sql as postgres") if "AS lock_key" in block.text]
    with psycopg.connect(desk.state.database_url) as connection:
        assert (LOCK_KEY,) == connection.execute(block.text.encode()).fetchone()


def test_the_schema_table_is_the_catalogs(desk: Desk) -> None:
    """Every column, its type, in order."""
    documented = re.findall(r"^\| `(\w+)` \| ([\w ]+) \|", section("Execution Log Schema"), re.M)
    with psycopg.connect(desk.state.database_url) as connection:
        actual = connection.execute(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"
            " AND attrelid = 'cron_execution_logs'::regclass ORDER BY attnum"
        ).fetchall()
    assert actual == documented


@table("block", [*marked(r"check: (bash|sam)"), *DEPLOYING], ids=by_line)
def test_bash_can_read_it(block: Block) -> None:
    """The grammar of what needs an account to run, and of every block of docs/deploy.md."""
    done = subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)


@table("block", marked(r"check: sam"), ids=by_line)
def test_sam_parameters_are_the_templates(block: Block) -> None:
    """A parameter that the template does not have would be refused only in production."""
    template = ROOT / "template.yaml"
    if not template.exists():
        pytest.skip("template.yaml is not here yet")
    names = re.findall(r"\b([A-Z]\w+)=", block.text.partition("--parameter-overrides")[2])
    assert names
    assert [] == [name for name in names if not re.search(rf"^  {name}:$", template.read_text(), re.M)]


@table("block", [*marked(r"check: make"), *(it for it in DEPLOYING if "check: make" in str(it.marker))], ids=by_line)
def test_make_has_the_targets(block: Block) -> None:
    """The commands exist that the README gives to a newcomer, and those of docs/deploy.md that are too slow to run."""
    lines = re.findall(r"^make ([^#\n]+)", block.text, re.M)
    targets = [word for line in lines for word in line.split() if "=" not in word]
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert [] == [name for name in targets if not re.search(rf"^{name}:", makefile, re.M)]


def test_the_sections_are_those_that_operators_expect() -> None:
    """Nothing more at the top, in this order."""
    assert SECTIONS == re.findall(r"^## (.+)$", RUNBOOK.read_text(), re.M)


def test_every_link_leads_somewhere() -> None:
    """To tests and documents of this repository."""
    links = re.findall(r"\]\(([^)#]+)\)", RUNBOOK.read_text())
    assert links
    assert [] == [link for link in links if not (RUNBOOK.parent / link).exists()]


def test_it_holds_no_secret_and_no_address() -> None:
    """Names of variables only."""
    found = re.findall(r"https?://\S+|postgres(?:ql)?://\S+|AKIA\w+|eyJ\w+|\d{12}", RUNBOOK.read_text())
    assert [] == found


def test_no_document_sets_a_plain_password() -> None:
    """ALTER ROLE stands in the server's log with log_statement = ddl: a SCRAM verifier only, by `reminders roles`."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    text = "\n".join(block.text for path in documents for block in blocks_of(path.name, path.read_text()))
    assert [] == re.findall(r"PASSWORD\s+(?!'SCRAM-SHA-256)['\"$].*", text)


def test_the_exit_codes_are_the_codes() -> None:
    """The runbook's line names every one of them, and no other."""
    from ops.cli.errors import MEANINGS

    line = RUNBOOK.read_text().partition("- Exit codes: ")[2].partition(".\n")[0]
    assert list(MEANINGS) == [int(code) for code in re.findall(r"(?:^|,)\s+(\d+) ", f", {line}")]


def section(name: str) -> str:
    return RUNBOOK.read_text().partition(f"## {name}\n")[2].partition("\n## ")[0]
