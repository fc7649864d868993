"""
The local stack that `reminders local up` holds open.

To the stack of the demo and the tests it adds what an operator uses: the schedule, the watchdog's and the admin
function's settings, and a ledger with past runs.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ops.cli import local_state
from ops.cli.local import sam
from ops.cli.local_state import LocalState
from ops.local import messages
from ops.local.database import give_logins
from ops.local.seed import add_past_runs, name_people, seed
from ops.local.stack import LocalStack, function_process
from ops.local.supabase_auth import PUBLISHABLE_KEY, SupabaseAuth, User

GROUP = "reminders-local"
SCHEDULE = "assignment-reminder-cron"
EXPRESSION = "cron(0 6 * * ? *)"
ADMIN = "handlers.admin:handler"
ISSUER = "local"
# Only the stand-in on loopback knows them, and it ends with the stack.
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@example.org", "reminders"
AT_ONCE = 3  # lines for messages that arrive together on one channel


@contextmanager
def whole_stack(assignments: int, days: int) -> Iterator[tuple[LocalStack, LocalState]]:
    """Start everything and fill it with generated data."""
    # The server that DATABASE_URL names must not be filled with generated data.
    os.environ.pop("DATABASE_URL", None)
    log, admin_log = local_state.append_log("scheduler"), local_state.append_log("admin")
    with log as scheduler, admin_log as other, LocalStack.start(log=scheduler, POWERTOOLS_LOG_LEVEL="INFO") as stack:
        with stack.connect() as connection:
            seed(connection, assignments=assignments, today=datetime.now(UTC).date())
            name_people(connection)
            add_past_runs(connection, days=days, assignments=assignments)
            messages.add_people(connection)
        make_schedule(stack)
        secret = secrets.token_urlsafe(48)
        with SupabaseAuth(secret, issuer=ISSUER) as auth:
            auth.add(User(ADMIN_EMAIL, ADMIN_PASSWORD, app_metadata={"role": "admin"}))
            admin, courier = admin_environment(stack, secret, auth.url), messages.environments(stack)
            with stack.connect() as connection:
                messages.add_push(stack, courier, connection)
            endpoints = function_process(admin, ADMIN, log=other), messages.unsubscribe_endpoint(courier)
            with endpoints[0] as admin_url, endpoints[1] as unsubscribe_url:
                yield stack, _state(stack, {"admin": admin, **courier}, (admin_url, unsubscribe_url))


@contextmanager
def stack_for_sam(assignments: int, days: int) -> Iterator[tuple[LocalStack, LocalState]]:
    """The same, reachable from containers. Raise `CliError` before the start when there is no container engine."""
    engine = sam.engine()
    with whole_stack(assignments, days) as (stack, state), sam.share_with_containers(stack, state, engine) as shared:
        yield stack, shared


def make_schedule(stack: LocalStack, group: str = GROUP) -> str:
    """The daily schedule, as template.yaml has it; its "group/name"."""
    client = stack.aws.client("scheduler")
    client.create_schedule_group(Name=group)
    client.create_schedule(
        Name=SCHEDULE,
        GroupName=group,
        Description="Runs the assignment reminders.",
        ScheduleExpression=EXPRESSION,
        ScheduleExpressionTimezone="UTC",
        State="ENABLED",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:lambda:eu-west-2:123456789012:function:cron",
            "RoleArn": "arn:aws:iam::123456789012:role/schedule",
            "Input": '{"scheduled_time": "<aws.scheduler.scheduled-time>"}',
            "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600},
        },
    )
    return f"{group}/{SCHEDULE}"


def admin_environment(stack: LocalStack, secret: str, supabase_url: str) -> dict[str, str]:
    """The admin function's environment, with its secrets put."""
    login = give_logins(stack.server, stack.database)["contact_admin_api"]
    return {
        **stack.aws.environment(),
        "DATABASE_SECRET": stack.put("admin-database", login),
        "SUPABASE_JWT_SECRET": stack.put("jwt", secret),
        "SUPABASE_JWT_ISSUER": ISSUER,
        "SUPABASE_URL": supabase_url,
        "SUPABASE_PUBLISHABLE_KEY_SECRET": stack.put("publishable-key", PUBLISHABLE_KEY),
        "REMINDER_CRON_EXPRESSION": EXPRESSION,
    }


def environments(stack: LocalStack, others: dict[str, dict[str, str]], schedule_name: str) -> dict[str, dict[str, str]]:
    """By function, as Lambda would have them; `others`: those of the admin function and of the messages."""
    watchdog = {"REMINDER_SCHEDULE_NAME": schedule_name, "REMINDER_CRON_EXPRESSION": EXPRESSION}
    return {
        "cron": stack.environment,
        "scheduler": stack.scheduler_environment,
        "watchdog": {**stack.environment, **watchdog},
        **others,
    }


def _state(stack: LocalStack, others: dict[str, dict[str, str]], urls: tuple[str, str]) -> LocalState:
    schedule_name = f"{GROUP}/{SCHEDULE}"
    return LocalState(
        pid=os.getpid(),
        database_url=stack.owner_dsn,
        schedule_name=schedule_name,
        environments=environments(stack, others, schedule_name),
        addresses={
            f"PostgreSQL {stack.server.version}": f"127.0.0.1:{stack.server.port}, database {stack.database}",
            "scheduler function": f"{stack.environment['REMINDER_FUNCTION_URL']}/runs",
            "admin function": f"{urls[0]}/openapi.json",
            "console": f"{urls[0]}/console",
            "sign in as": f"{ADMIN_EMAIL}, password {ADMIN_PASSWORD}",
            "unsubscribe function": f"{urls[1]}/unsubscribe",
            "mails": str(local_state.mail_folder()),
            "AWS (moto)": stack.aws.url,
        },
    )


def watch(stack: LocalStack, show: Callable[[str, str], None], go_on: Callable[[], bool]) -> None:
    """Show alerts, mails and pushes as they arrive, as long as `go_on`, which waits a little, returns True."""
    arrivals: dict[str, Callable[[], list[str]]] = {
        "Slack": lambda: [str(message.get("text", "")) for message in stack.slack.posted],
        "SNS": lambda: [mail.subject or "" for mail in stack.aws.published(stack.topic_arn)],
        "mail": stack.aws.mailed,
        "push": stack.aws.pushed,
    }
    shown: Counter[str] = Counter()
    while go_on():
        for channel, read in arrivals.items():
            new = read()[shown[channel] :]
            shown[channel] += len(new)
            for text in new[:AT_ONCE]:
                show(channel, _subject(text) if channel == "mail" else text)
            if len(new) > AT_ONCE:
                show(channel, f"and {len(new) - AT_ONCE:,} more")


def _subject(raw: str) -> str:
    mail = messages.parsed(raw)
    return f"to {mail['To']}: {mail['Subject']}"
