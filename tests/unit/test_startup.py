"""What a function refuses at its start, and what its import survives until then."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext

import pytest

from handlers.wiring import startup
from reminders.errors import SettingsError
from tests.helpers.cases import table

WRONG = [
    ("POWERTOOLS_LOG_LEVEL", "LOUD"),
    ("POWERTOOLS_LOG_LEVEL", " INFO"),
    ("POWERTOOLS_LOG_LEVEL", "20"),
    ("AWS_LAMBDA_LOG_LEVEL", "LOUD"),
    ("AWS_LAMBDA_LOG_LEVEL", "INFO "),
    ("AWS_LAMBDA_LOG_LEVEL", "info"),
    ("POWERTOOLS_METRICS_NAMESPACE", " "),
    ("POWERTOOLS_METRICS_NAMESPACE", "x" * 256),
    ("POWERTOOLS_METRICS_NAMESPACE", "AWS/Lambda"),
    ("POWERTOOLS_METRICS_NAMESPACE", ":reminders"),
    ("POWERTOOLS_METRICS_NAMESPACE", "Erinnerungen für Mentoren"),
    ("POWERTOOLS_SERVICE_NAME", "  "),
    ("POWERTOOLS_SERVICE_NAME", "x" * 1_025),
    ("POWERTOOLS_SERVICE_NAME", "reminders\n"),
    *((name, value) for name in startup.SWITCHES for value in ("", "maybe", " true", "true\n")),
    *(("POWERTOOLS_LOGGER_SAMPLE_RATE", value) for value in ("often", "1.5", "-1", "nan", " 0.1", ".")),
]
RIGHT = {
    "POWERTOOLS_LOG_LEVEL": "debug",
    "AWS_LAMBDA_LOG_LEVEL": "WARN",
    "POWERTOOLS_METRICS_NAMESPACE": "Assignment Reminders/staging #1",
    "POWERTOOLS_SERVICE_NAME": "reminders-staging",
    "POWERTOOLS_LOGGER_SAMPLE_RATE": "0.01",
}
SWITCHED_ON = dict.fromkeys(startup.SWITCHES, "True")


@table("environment", [{}, dict.fromkeys(RIGHT, ""), RIGHT, SWITCHED_ON])
def test_logs_and_metrics_that_can_work(environment: dict[str, str]) -> None:
    """Absent, empty and right ones are taken."""
    startup.check_telemetry(environment)


@table(("name", "value"), WRONG)
def test_logs_and_metrics_that_cannot_work(name: str, value: str) -> None:
    """Under Lambda's runtime every function names the variable before its first event."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(name, value)
        startup.check()
        patched.setenv(startup.RUNTIME, "127.0.0.1:9001")
        with pytest.raises(SettingsError, match=f"^{name} must be "):
            startup.check()


TOPIC = "arn:aws:sns:eu-west-2:123456789012:alerts.fifo"
APPLICATIONS = "arn:aws:sns:eu-west-2:123456789012:app/GCM/a, arn:aws:sns:eu-west-2:123456789012:app/APNS/a"


@table(("region", "works"), [("eu-west-2", True), ("", True), ("eu-west-1", False)])
@table(
    ("name", "value", "said"),
    [
        ("ALERT_TOPIC_ARN", TOPIC, "a topic of this region, eu-west-1"),
        ("PUSH_APPLICATION_ARNS", APPLICATIONS, "platform applications of this region, eu-west-1"),
    ],
)
def test_arn_of_another_region(name: str, value: str, said: str, region: str, works: bool) -> None:
    """Every call about it would fail, so that it is refused at the start."""
    refused = pytest.raises(SettingsError, match=f"^{name} must be {said}")
    with pytest.MonkeyPatch.context() as patched, nullcontext() if works else refused:
        for variable, text in {startup.RUNTIME: "127.0.0.1:9001", name: value, "AWS_REGION": region}.items():
            patched.setenv(variable, text)
        startup.check()


def test_one_application_of_another_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, wherever it stands in the list."""
    other = "arn:aws:sns:eu-west-1:123456789012:app/APNS/other"
    values = {startup.RUNTIME: "x", "PUSH_APPLICATION_ARNS": f"{APPLICATIONS},{other}", "AWS_REGION": "eu-west-2"}
    for variable, text in values.items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(SettingsError, match=f"^PUSH_APPLICATION_ARNS must .*, got '{other}'$"):
        startup.check()


@table(("name", "value"), [(n, v) for n, v in WRONG if n.endswith("LEVEL")])
def test_import_survives_a_wrong_level(name: str, value: str) -> None:
    """Powertools' own error would name no variable; the import logs at INFO, and the start says what is wrong."""
    program = "from reminders.telemetry import logger; print(logger.log_level)"
    # Lambda's own level beside it: Powertools compares the two.
    kept = {variable: text for variable, text in os.environ.items() if not variable.startswith("POWERTOOLS_")}
    environment = {**kept, "AWS_LAMBDA_LOG_LEVEL": "INFO", name: value}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert ("20\n", "") == (done.stdout, done.stderr)


HANDLERS = ["cron", "scheduler", "watchdog", "admin", "courier", "feedback", "unsubscribe"]


@table("handler", HANDLERS)
def test_import_with_a_wrong_switch(handler: str) -> None:
    """In Lambda, the error names the variable; Powertools' own import would fail without the name."""
    environment = {**os.environ, startup.RUNTIME: "127.0.0.1:9001", "POWERTOOLS_DEBUG": "maybe"}
    command = [sys.executable, "-c", f"import handlers.{handler}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("SettingsError: POWERTOOLS_DEBUG must be true or false, got 'maybe'")
