"""The local stack as a target: handlers are invoked in a process of their own, as Lambda does; AWS is moto."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from ops.cli.local_state import LocalState
from ops.cli.targets import Answer, Asked, Target
from ops.local.aws import CREDENTIALS
from ops.local.stack import CRON


class Local(Target):
    """The stack that `reminders local up` runs."""

    title = "local stack"
    asks_first = False
    is_local = True

    def __init__(self, state: LocalState, asked: Asked) -> None:
        super().__init__(asked)
        self.state = state

    @property
    def schedule_name(self) -> str:
        return self.state.schedule_name

    def client(self, service: str, **config: Any) -> Any:
        aws = self.state.environments["cron"]
        return _client(aws["AWS_ENDPOINT_URL"], aws["AWS_REGION"], service, tuple(config.items()))

    def environment(self, function: str) -> Mapping[str, str]:
        return self.state.environments.get(function, {})

    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> Answer:
        command = [sys.executable, "-m", "ops.local.invoke", CRON, json.dumps(event)]
        environment = {**os.environ, **self.environment("cron")}
        if not wait:
            nowhere = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.Popen(command, env=environment, start_new_session=True, **nowhere)  # type: ignore[call-overload]
            return Answer()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return Answer(json.loads(done.stdout))
        return Answer(error=_raised(done.stderr))

    def database_url(self) -> str:
        return self.asked.database or self.state.database_url


@cache
def _session(region: str) -> Any:
    """Reads botocore's big files once."""
    import boto3

    return boto3.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name=region)


@cache
def _client(endpoint: str, region: str, service: str, config: tuple[tuple[str, Any], ...]) -> Any:
    """Making one takes 0.2 s."""
    from botocore.config import Config

    return _session(region).client(service, endpoint_url=endpoint, config=Config(**dict(config)))


def _raised(log: str) -> str:
    """What the handler raised: the last line of its log."""
    try:
        told = json.loads(log.splitlines()[-1])
        return f"{told['errorType']}: {told['errorMessage']}"
    except (IndexError, ValueError, KeyError, TypeError):
        return "the function exited without an error message"
