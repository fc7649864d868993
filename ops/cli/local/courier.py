"""The courier on the local stack: invoked in a process of its own, and its mails written as files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from ops.cli import local_state
from ops.cli.errors import CliError
from ops.cli.local_state import LocalState
from ops.local import messages


def send(state: LocalState) -> tuple[dict[str, Any], int]:
    """What the courier answered, and how many mails are new. Raise `CliError` when it failed."""
    environment = state.environments["courier"]
    with local_state.append_log("courier") as log:
        done = subprocess.run(
            [sys.executable, "-m", "ops.local.invoke", messages.COURIER, "{}", "--timeout", "300"],
            env={**os.environ, **environment, "POWERTOOLS_LOG_LEVEL": "INFO"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
    if done.returncode:
        raise CliError("The courier failed.", "`reminders messages` shows the last errors.")
    found = messages.mails(environment["AWS_ENDPOINT_URL"])
    return json.loads(done.stdout), messages.save(found, local_state.mail_folder())
