"""`sam local invoke`: the built functions in containers, with the local stack around them."""

from __future__ import annotations

import json
import re

import pytest

from ops.tools.build.artifact import ROOT
from tests.cli.operated import COMMAND
from tests.containers.conftest import Invoke

PAGE = ROOT / "docs" / "deploy.md"
COMMANDS = re.findall(r"^(?:reminders|build/sam/bin/sam) local invoke .*\.json$", PAGE.read_text(), re.M)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.rpartition("/")[2])
def test_command_of_the_page(run: Invoke, command: str) -> None:
    """docs/deploy.md: each function answers each of its sample events, and the exit code says that it worked."""
    said = run("bash", "-c", command)

    assert 0 == said.code, said
    assert "errorType" not in said.answer, said
    assert ("success", 200) == (said.answer.get("status", "success"), said.answer.get("statusCode", 200)), said


def test_run_with_all_around_it(invoke: Invoke, run: Invoke) -> None:
    """A dry run says who would be notified; the run notifies as many, and the stack's ledger has it."""
    run(str(COMMAND), "local", "psql", "-c", "DELETE FROM notifications")
    dry = invoke("cron", {"action": "run", "dry_run": True})
    real = invoke("cron", {"action": "run"})
    newest = run(str(COMMAND), "logs", "-n", "1", "--json")

    assert (0, 0) == (dry.code, real.code), (dry, real)
    assert 0 < len(dry.answer["would_notify"]) == real.answer["reminders_dispatched"]
    assert real.answer["run_id"] == newest.answer["id"], newest


def test_function_that_fails(invoke: Invoke) -> None:
    """SAM CLI's status is 0; ours is 1, with the function's error, and nothing on standard output."""
    said = invoke("cron", {"action": "rum"})

    assert (1, "") == (said.code, said.out), said
    assert "EventError: unknown action 'rum'" in said.err


def test_caller_without_the_token(invoke: Invoke) -> None:
    """An HTTP answer that is an error is printed, and is exit code 1."""
    event = json.loads((ROOT / "infra/events/scheduler-function-url.json").read_text())
    event["headers"]["authorization"] = "Bearer wrong"
    said = invoke("scheduler", event)

    assert (1, 401) == (said.code, said.answer["statusCode"]), said
