"""The invoker, as a process: what it prints where, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.local.invoke import LocalContext

pytestmark = pytest.mark.matrix  # every other test that uses it fails with it


HANDLERS = """
import time
print("imported")
def echo(event, context):
    print("log line")
    return {"event": event, "name": context.function_name}
def fail(event, context):
    raise ValueError("no such day")
def hang(event, context):
    time.sleep(60)
"""
Invoke = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def invoke(tmp_path: Path) -> Invoke:
    (tmp_path / "handlers_of_a_test.py").write_text(HANDLERS)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ops.local.invoke", *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_answer_is_alone_on_standard_output(invoke: Invoke) -> None:
    """What the handler prints goes to standard error, so that the answer can be piped on."""
    done = invoke("handlers_of_a_test:echo", '{"a": 1}')
    assert {"event": {"a": 1}, "name": "handlers_of_a_test"} == json.loads(done.stdout)
    assert ["imported", "log line"] == done.stderr.splitlines()


def test_exception_is_reported_as_lambda_does(invoke: Invoke) -> None:
    """Type and message as JSON on standard error, exit status 1, nothing on standard output."""
    done = invoke("handlers_of_a_test:fail", "{}")
    received = json.loads(done.stderr.splitlines()[-1])
    assert (1, "") == (done.returncode, done.stdout)
    assert ("ValueError", "no such day") == (received["errorType"], received["errorMessage"])


def test_unknown_handler_is_reported_as_lambda_does(invoke: Invoke) -> None:
    """A module or function that is not there is an error of the same shape."""
    received = json.loads(invoke("nowhere:handler", "{}").stderr.splitlines()[-1])
    assert "ModuleNotFoundError" == received["errorType"]


def test_handler_past_its_time_is_ended(invoke: Invoke) -> None:
    """The process ends at the deadline, as Lambda ends it."""
    began = time.monotonic()
    done = invoke("handlers_of_a_test:hang", "{}", "--timeout", "0.5")
    received = json.loads(done.stderr.splitlines()[-1])
    assert (1, "Sandbox.Timedout") == (done.returncode, received["errorType"])
    assert time.monotonic() - began < 8


def test_event_that_is_not_json_is_reported(invoke: Invoke) -> None:
    """A typing mistake is a sentence, not a trace."""
    done = invoke("handlers_of_a_test:echo", "{oops")
    assert (2, False) == (done.returncode, "Traceback" in done.stderr)


def test_remaining_time_falls_to_zero_and_stays() -> None:
    """Milliseconds, never negative."""
    assert 0 == LocalContext(timeout=-1.0).get_remaining_time_in_millis()
    assert 59_000 < LocalContext(timeout=60.0).get_remaining_time_in_millis() <= 60_000
