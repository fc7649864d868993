"""The local stack as a target: handlers are invoked in a process of their own, as Lambda does; AWS is moto."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ops.cli import function_log, local_state
from ops.cli.local_state import LocalState
from ops.cli.targets.base import Failures, InvocationResult, Target, TargetOptions

# Shared by all targets of this process: their key has the stack's address.
CLIENTS: dict[tuple[Any, ...], Any] = {}


class Local(Target):
    """The stack that `reminders local up` runs."""

    title = "local stack"
    requires_confirmation = False
    is_local = True

    def __init__(self, state: LocalState, options: TargetOptions) -> None:
        super().__init__(options)
        self.state = state
        self.clients = CLIENTS

    @property
    def schedule_name(self) -> str:
        return self.state.schedule_name

    def aws(self) -> dict[str, Any]:
        environment = self.state.environments["cron"]
        return {
            "endpoint_url": environment["AWS_ENDPOINT_URL"],
            "region_name": environment["AWS_REGION"],
            "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        }

    def environment(self, function: str) -> Mapping[str, str]:
        return self.state.environments.get(function, {})

    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> InvocationResult:
        return self.call("cron", "handlers.cron:handler", event, wait=wait)

    def call(
        self, function: str, handler: str, event: Mapping[str, Any], *, seconds: int = 900, wait: bool = True
    ) -> InvocationResult:
        """Call any function's handler (MODULE:FUNCTION) with its environment, for at most `seconds`."""
        command = [sys.executable, "-m", "ops.local.invoke", handler, json.dumps(event), "--timeout", str(seconds)]
        # The command silences the functions' log in its own process; here it is what `reminders logs` shows.
        environment = {**os.environ, **self.environment(function), "POWERTOOLS_LOG_LEVEL": "INFO"}
        with local_state.append_log(function) as log:
            if not wait:
                subprocess.Popen(
                    command,
                    env=environment,
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
                return InvocationResult()
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            log.write(done.stderr)
        if done.returncode == 0:
            return InvocationResult(json.loads(done.stdout))
        return InvocationResult(error=_error_from_log(done.stderr))

    def function_name(self, function: str) -> str:
        return function

    def failures(self, since: datetime) -> Failures:
        """Counted in the log of `reminders run`: nothing else invokes the function here."""
        failed = [line for line in self.log_lines("cron", since) if "errorType" in line]
        return Failures(len(failed), function_log.error_of(failed[-1]) if failed else "")

    def log_lines(self, function: str, since: datetime) -> list[dict[str, Any]]:
        file = local_state.log_file(function)
        text = file.read_text(errors="replace") if file.exists() else ""
        lines = function_log.log_lines(text.splitlines())
        return [line for line in lines if (logged := function_log.time_of(line)) and logged >= since]

    def database_url(self) -> str:
        return self.options.database or self.state.database_url


def _error_from_log(log: str) -> str:
    """What the handler raised: the last line of its log."""
    try:
        return function_log.error_of(json.loads(log.splitlines()[-1]))
    except (IndexError, ValueError, KeyError, TypeError):
        return "the function exited without an error message"
