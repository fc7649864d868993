"""Checks of secrets, and of the functions' connections with them. No secret's value is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import conninfo

from ops.cli.doctor.examination import CheckFunction, Examination, Finding, Skipped, ok, problem, warning
from ops.cli.targets.database import TRANSACTION_POOLER
from ops.schema import FUNCTION_OF
from reminders import database, unreachable
from reminders.alerts.slack import LOOPBACK
from reminders.database import Connection, stays_on_this_machine
from reminders.errors import DatabaseUnavailable

SHORTEST_TOKEN = 32
VERIFY = (
    "Use sslmode=verify-full with Supabase's CA, see docs/deploy.md: require encrypts, but does not verify the server."
)
WEAK_TLS = {"disable", "allow", "prefer"}


def login_of(role: str) -> CheckFunction:
    """The check of one role's secret, and of the connection that it makes."""

    def check(examination: Examination) -> Iterator[Finding]:
        name = _secret_name(examination, FUNCTION_OF[role], "DATABASE_SECRET")
        uri = examination.secret(name)
        try:
            found = conninfo.conninfo_to_dict(uri)
        except psycopg.ProgrammingError as error:
            wrong = unreachable.of_uri(str(error))
            yield problem(f"the secret {name} holds no libpq URI: {wrong.what}", wrong.hint)
            return
        if misread := unreachable.of_parameters(found):
            yield problem(f"the secret {name}: {misread.what}", misread.hint)
            return
        yield from _uri(name, role, found)
        yield from _connection(uri, role, found)

    return check


def scheduler_token(examination: Examination) -> Iterator[Finding]:
    """Cron and scheduler have the same token, and it is long enough."""
    names = {_secret_name(examination, function, "SCHEDULER_TOKEN_SECRET") for function in ("cron", "scheduler")}
    tokens = {examination.secret(name) for name in names}
    if len(tokens) > 1:
        yield problem(
            "cron and scheduler have different tokens", "Let SCHEDULER_TOKEN_SECRET name one secret for both."
        )
    elif min(map(len, tokens)) < SHORTEST_TOKEN:
        yield problem(
            f"shorter than {SHORTEST_TOKEN} characters", "Put the output of `openssl rand -base64 48` into the secret."
        )


def alert_channels(examination: Examination) -> Iterator[Finding]:
    environment = examination.target.environment("cron")
    topic, slack = environment.get("ALERT_TOPIC_ARN"), environment.get("SLACK_WEBHOOK_SECRET")
    if not topic and not slack:
        yield problem("none is configured, so no failure is reported", "Set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET.")
    if slack:
        parts = urlsplit(examination.secret(slack))
        if not (parts.scheme == "https" or parts.hostname in LOOPBACK) or not parts.path.strip("/"):
            yield problem(
                f"the secret {slack} holds no https URL of a webhook", "Copy the URL from the Slack app's page."
            )
        else:
            yield ok("Slack's webhook is well-formed")
    if topic:
        examination.target.client("sns").get_topic_attributes(TopicArn=topic)
        yield ok("the SNS topic exists")


def _secret_name(examination: Examination, function: str, variable: str) -> str:
    name = examination.target.environment(function).get(variable)
    if not name:
        raise Skipped(f"the {function} function has no {variable}")
    return name


def _uri(name: str, role: str, found: dict[str, Any]) -> Iterator[Finding]:
    if str(found.get("user", "")).partition(".")[0] != role:
        fix = (
            "Store the login of this role in this secret: docs/deploy.md, step 2 and Messages, lists secrets and roles."
        )
        yield problem(f"the secret {name} is not the login of {role}", fix)
    if "options" in found:
        yield problem(
            f"the secret {name} has options=, which a pooler refuses or leaks", "Take options= out of the URI."
        )
    if stays_on_this_machine(found):
        return
    if found.get("sslmode") in WEAK_TLS:
        yield problem(f"the secret {name} allows a connection without TLS", VERIFY)
    elif found.get("sslmode") != "verify-full":
        yield warning(
            f"the secret {name} does not verify the server (sslmode={found.get('sslmode', 'require')})", VERIFY
        )
    if int(found.get("port") or 5432) != TRANSACTION_POOLER:
        fix = f"Port {TRANSACTION_POOLER} is the transaction pooler; others hold a server connection for each function."
        yield warning(f"the secret {name} does not use the transaction pooler", fix)


def _connection(uri: str, role: str, found: dict[str, Any]) -> Iterator[Finding]:
    try:
        connection = database.connect(uri, name="reminders-doctor")
    except DatabaseUnavailable as error:
        yield problem(str(error), error.hint or "Compare host and port with Supabase's Connect page.")
        return
    with closing(connection):
        yield from _check_session(connection, role, found)


def _check_session(connection: Connection, role: str, found: dict[str, Any]) -> Iterator[Finding]:
    row = connection.execute("SELECT current_user::text, pg_backend_pid()").fetchone()
    user, pid = row or ("", 0)
    if user != role:
        yield problem(f"it logs in as {user}", f"The secret must hold the login of {role}.")
    if connection.prepare_threshold is not None:
        yield problem(
            "it would use prepared statements", "psycopg.connect(prepare_threshold=None), in reminders/database.py."
        )
    # A pooler gives its clients a pid of its own.
    through = "through a pooler" if connection.info.backend_pid != pid else "directly"
    tls = "with TLS" if connection.pgconn.ssl_in_use else "without TLS, on loopback"
    if not connection.pgconn.ssl_in_use and not stays_on_this_machine(found):
        yield problem("the connection has no TLS", VERIFY)
    yield ok(f"connects {through}, {tls}, port {found.get('port') or 5432}, uses no prepared statements")
