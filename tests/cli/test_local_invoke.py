"""`reminders local invoke` without a container: `sam` is a script that answers as SAM CLI would."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.cli import local_state
from ops.cli.local import events
from ops.cli.local import sam as sam_local
from ops.cli.local_state import LocalState
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.local import Local
from ops.local.aws import Aws
from ops.tools.build.artifact import this_architecture
from tests.cli.operated import Operated, Said, run, say
from tests.cli.site import Site
from tests.helpers.cases import table
from tests.helpers.events import EVENTS

AnswerWith = Callable[..., None]


@pytest.fixture
def state(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalState:
    """A stack that was started for containers, as the command finds it; the functions are built."""
    template = tmp_path / "template.yaml"
    template.write_text(f"Parameters:\n  Architecture:\n    Type: String\n    Default: {this_architecture()}\n")
    monkeypatch.setattr(sam_local, "BUILT_TEMPLATE", template)
    found = LocalState(0, "", "", site.target.state.environments, sam_environment="environment.json")
    monkeypatch.setattr(local_state, "read", lambda: found)
    return found


@pytest.fixture
def sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: LocalState) -> AnswerWith:
    """Sets what `sam` prints and its status; it keeps its arguments and its input in a file."""

    def answer_with(printed: str, status: int = 0) -> None:
        script = tmp_path / "sam"
        keep = f"open({str(tmp_path / 'asked')!r}, 'w').write(json.dumps([sys.argv[1:], sys.stdin.read()]))"
        script.write_text(f"#!{sys.executable}\nimport json, sys\n{keep}\nprint({printed!r})\nsys.exit({status})\n")
        script.chmod(0o755)
        monkeypatch.setattr(sam_local, "sam", lambda: script)

    return answer_with


def invoke(event: Path | str, function: str = "cron", *options: str) -> Said:
    return say("local", "invoke", function, str(event), *options)


def test_answer_is_printed(sam: AnswerWith, tmp_path: Path) -> None:
    """SAM CLI gets the logical id, the event, the environment file and the region; its own options are passed on."""
    sam('{"status": "success"}')
    done = invoke(EVENTS / "cron-dry-run.json", "cron", "--skip-pull-image")
    arguments, event = json.loads((tmp_path / "asked").read_text())

    assert (0, {"status": "success"}) == (done.code, json.loads(done.out)), done
    assert ["local", "invoke", "CronFunction", "--event", "-"] == arguments[:5]
    assert ["--env-vars", "environment.json", "--region", "eu-west-2", "--skip-pull-image"] == arguments[5:]
    assert {"action": "run", "dry_run": True} == json.loads(event)


@table(
    ("printed", "status", "sentence"),
    [
        ('{"errorType": "EventError", "errorMessage": "unknown\\u001b[2J"}', 0, r"EventError: unknown\x1b[2J"),
        ("", 0, "gave no answer"),
        ("Traceback (most recent call last)", 0, "gave no answer"),
        ("", 1, "ended with status 1"),
    ],
)
def test_function_that_fails(sam: AnswerWith, printed: str, status: int, sentence: str) -> None:
    """Exit code 1 and a sentence, also where SAM CLI's own status is 0; standard output stays empty."""
    sam(printed, status)
    done = invoke(EVENTS / "cron-dry-run.json")

    assert (1, "") == (done.code, done.out), done
    assert sentence in done.err


@table("answer", [{"statusCode": 401, "body": "{}"}, {"status": "failed", "channels": {}}])
def test_answer_that_says_failed(sam: AnswerWith, answer: Any) -> None:
    """It is printed, with exit code 1."""
    sam(json.dumps(answer))
    done = invoke(EVENTS / "cron-test-alert.json")

    assert (1, answer) == (done.code, json.loads(done.out))


@table("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_sample_event_is_completed(path: Path, state: LocalState, aws: Aws) -> None:
    """Whatever a sample event leaves open is known of the local stack."""
    values = events.local_values(state.environments, Local(state, TargetOptions()).client("secretsmanager"))
    filled = events.fill(path.read_text(), values)

    json.loads(filled)
    assert "PUT-" not in filled


@table(("event", "sentence"), [("{", "is not JSON"), ('{"action": "PUT-A-THING-HERE"}', "still has PUT-A-THING-HERE")])
def test_event_that_cannot_be_sent(sam: AnswerWith, tmp_path: Path, event: str, sentence: str) -> None:
    """Wrong use, exit code 2: nothing was invoked."""
    sam("{}")
    (tmp_path / "asked").unlink(missing_ok=True)
    (tmp_path / "event.json").write_text(event)
    done = invoke(tmp_path / "event.json")

    assert (2, True, False) == (done.code, sentence in done.err, (tmp_path / "asked").exists()), done


def test_build_for_another_processor(sam: AnswerWith, state: LocalState) -> None:
    """Its libraries cannot be loaded in the container: refused, with the command that helps."""
    sam("{}")
    sam_local.BUILT_TEMPLATE.write_text("Parameters:\n  Architecture:\n    Type: String\n    Default: riscv\n")
    done = invoke(EVENTS / "cron-console.json")

    assert 2 == done.code
    assert f"built for riscv; this machine is {this_architecture()}" in done.err
    assert "make build ARCHITECTURE=native" in done.err


def test_functions_that_are_not_built(sam: AnswerWith, state: LocalState) -> None:
    sam("{}")
    sam_local.BUILT_TEMPLATE.unlink()
    done = invoke(EVENTS / "cron-console.json")

    assert (2, True) == (done.code, "make build ARCHITECTURE=native" in done.err)


def test_stack_that_is_not_for_containers(operated: Operated) -> None:
    """Containers cannot reach it: exit code 3, and how to start one that they can."""
    done = operated.say("local", "invoke", "cron", str(EVENTS / "cron-console.json"))

    assert (3, True) == (done.code, "reminders local up --for-sam" in done.err), done


def test_no_container_engine(tmp_path: Path) -> None:
    """`local up --for-sam` says so before it starts anything, and leaves nothing."""
    done = run(tmp_path, "local", "up", "--for-sam", DOCKER_HOST=f"unix://{tmp_path}/nothing")

    assert (3, []) == (done.returncode, list(tmp_path.iterdir())), done
    assert "Docker" in done.stderr
