"""
`sam local invoke` on the local stack: what `reminders local up --for-sam` prepares, `reminders local invoke` calls.

    build/sam-local.json   the functions' environments, for SAM CLI's option --env-vars (samconfig.toml names it)

SAM CLI exits with status 0 even when the function failed, so its answer is read.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ops.cli.errors import UNREACHABLE, WRONG_USE, CliError
from ops.cli.local_state import LocalState
from ops.local.containers import Engine, EngineError, environments_for_containers, find_engine
from ops.local.stack import LocalStack
from ops.tools.build.artifact import ROOT, this_architecture
from ops.tools.build.local import FUNCTION_NAMES
from ops.tools.build.pythons import BuildError
from ops.tools.build.sam import sam
from reminders.text import printable

ENVIRONMENT_FILE = ROOT / "build" / "sam-local.json"
BUILT_TEMPLATE = ROOT / ".aws-sam" / "build" / "template.yaml"
BUILD_HINT = "Build for this machine: make build ARCHITECTURE=native"
# An error as Lambda answers it ("AWS Lambda function errors in Python").
ERROR_KEYS = {"errorType", "errorMessage"}


def engine() -> Engine:
    """The container engine that SAM CLI uses, if its containers can reach this machine; raise `CliError`."""
    try:
        found = find_engine(sam().with_name("python"))
        found.host()
        return found
    except (EngineError, BuildError) as error:
        raise CliError(str(error), "`reminders run` needs no containers.", UNREACHABLE) from None


@contextmanager
def share_with_containers(stack: LocalStack, state: LocalState, found: Engine) -> Iterator[LocalState]:
    """Let containers reach the stack, and keep the environment file, until the block ends."""
    # These addresses must be https except on loopback: containers alert through the topic alone, and no user signs in.
    without = dict.fromkeys(("SLACK_WEBHOOK_SECRET", "SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY_SECRET"), "")
    given = {function: {**variables, **without} for function, variables in state.environments.items()}
    with environments_for_containers(found, stack.aws, given) as environments:
        ENVIRONMENT_FILE.parent.mkdir(exist_ok=True)
        ENVIRONMENT_FILE.write_text(json.dumps(_by_logical_id(environments), indent=2) + "\n")
        try:
            yield replace(state, sam_environment=str(ENVIRONMENT_FILE))
        finally:
            ENVIRONMENT_FILE.unlink(missing_ok=True)


def check_build() -> None:
    """Raise `CliError` unless the functions are built, and for this machine's processor."""
    try:
        template = BUILT_TEMPLATE.read_text()
    except FileNotFoundError:
        raise CliError("The functions are not built yet.", BUILD_HINT, WRONG_USE) from None
    built = re.search(r"^  Architecture:\n(?: {4}.*\n)*? {4}Default: (\w+)$", template, re.MULTILINE)
    if built and built[1] != this_architecture():
        machine = this_architecture()
        raise CliError(f"The functions were built for {built[1]}; this machine is {machine}.", BUILD_HINT, WRONG_USE)


def invoke(state: LocalState, function: str, event: str, options: Sequence[str]) -> Any:
    """
    What `function` ("cron") answers to `event` (JSON) in SAM CLI's container; its log goes to standard error.

    Raise `CliError` when SAM CLI failed, or the function did.
    """
    settings = [
        "--event",
        "-",
        "--env-vars",
        state.sam_environment,
        "--region",
        state.environments["cron"]["AWS_REGION"],
    ]
    done = subprocess.run(
        [str(sam()), "local", "invoke", FUNCTION_NAMES[function], *settings, *options],
        cwd=ROOT,
        env=_local_aws_environment(state),
        input=event,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CliError(f"sam local invoke ended with status {done.returncode}; see its output above.")
    return _answer(done.stdout)


def _by_logical_id(environments: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """SAM CLI takes credentials and the region from its own environment, and drops what template.yaml does not name."""
    return {
        FUNCTION_NAMES[function]: {
            name: value
            for name, value in variables.items()
            if name == "AWS_ENDPOINT_URL" or not name.startswith("AWS_")
        }
        for function, variables in environments.items()
    }


def _local_aws_environment(state: LocalState) -> dict[str, str]:
    """This process' environment, with the local stack's AWS in the place of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    aws = {name: value for name, value in state.environments["cron"].items() if name.startswith("AWS_")}
    return {**kept, **aws, "SAM_CLI_TELEMETRY": "0"}


def _answer(printed: str) -> Any:
    """The function's answer, which is all that SAM CLI prints on standard output; raise `CliError` for an error."""
    try:
        answer = json.loads(printed)
    except ValueError:
        raise CliError("The function gave no answer; see its log above.") from None
    if isinstance(answer, dict) and ERROR_KEYS <= set(answer):
        raise CliError(f"The function failed. {answer['errorType']}: {printable(str(answer['errorMessage']))}")
    return answer


def failed(answer: Any) -> bool:
    """Whether an answer without an error reports a failure."""
    return isinstance(answer, dict) and (answer.get("status") == "failed" or answer.get("statusCode", 200) >= 400)
