"""The courier on the local stack, and its mails written as files."""

from __future__ import annotations

from typing import Any

from ops.cli import local_state
from ops.cli.errors import CliError
from ops.cli.local_state import LocalState
from ops.cli.targets.base import TargetOptions
from ops.cli.targets.local import Local
from ops.local import messages


def send(state: LocalState) -> tuple[dict[str, Any], int]:
    """What the courier answered, and how many mails are new. Raise `CliError` when it failed."""
    answer = Local(state, TargetOptions()).call("courier", messages.COURIER, {}, seconds=300)
    if answer.error:
        raise CliError("The courier failed.", "`reminders messages` shows the last errors.")
    found = messages.mails(state.environments["courier"]["AWS_ENDPOINT_URL"])
    return answer.result, messages.save(found, local_state.mail_folder())
