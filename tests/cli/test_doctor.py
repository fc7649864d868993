"""The doctor against broken set-ups: each named by its check, with a fix, and nothing else complained about."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest

from ops.cli.doctor.plan import examine
from ops.local.server import Server
from ops.schema import OUR_ROLES, shapes
from tests.cli.site import Site
from tests.helpers.cases import one_of_each, table

WEBHOOK = "http://hooks.example.org/services/T/B/x"


def sql(statement: str) -> Callable[[Site], None]:
    """Broken by a statement of the tables' owner."""

    def make(site: Site) -> None:
        with site.stack.connect() as connection:
            connection.execute(statement.encode())

    return make


def forget(function: str, variable: str) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        site.target.state.environments[function].pop(variable)

    return make


def name_missing_secret(site: Site) -> None:
    site.target.state.environments["cron"]["DATABASE_SECRET"] = "reminders/not-there"


def swap_logins(site: Site) -> None:
    theirs = site.target.secret(site.target.environment("scheduler")["DATABASE_SECRET"])
    site.put("cron", "DATABASE_SECRET", theirs)


def wrong_password(site: Site) -> None:
    found = psycopg.conninfo.conninfo_to_dict(site.target.secret(site.target.environment("cron")["DATABASE_SECRET"]))
    uri = "postgresql://cron_runner:wrong@{host}:{port}/{dbname}?sslmode=disable".format(**found)
    site.put("cron", "DATABASE_SECRET", uri)


def options_in_the_uri(site: Site) -> None:
    uri = site.target.secret(site.target.environment("cron")["DATABASE_SECRET"])
    joint = "&" if "?" in uri else "?"
    site.put("cron", "DATABASE_SECRET", f"{uri}{joint}options=-c%20statement_timeout%3D1000")


def by_superuser(statement: str) -> Callable[[Site], None]:
    """Broken by what only a superuser can do; {database} is the test's own."""

    def make(site: Site) -> None:
        server, database = site.stack.server, site.stack.database
        with psycopg.connect(server.dsn(server.superuser, database), autocommit=True) as connection:
            connection.execute(statement.format(database=database).encode())

    return make


def put_uri(change: Callable[[str], str]) -> Callable[[Site], None]:
    """cron's database secret, changed."""

    def make(site: Site) -> None:
        site.put(
            "cron", "DATABASE_SECRET", change(site.target.secret(site.target.environment("cron")["DATABASE_SECRET"]))
        )

    return make


SHAPES = {"shapes"}
REPLACED = """
CREATE OR REPLACE FUNCTION public.hold_run(run uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$ BEGIN RETURN true; END $$
"""
BROKEN: dict[str, tuple[Callable[[Site], None], set[str], str]] = {
    "a migration is missing": (
        sql("DELETE FROM supabase_migrations.schema_migrations WHERE version = '20261121110000'"),
        {"migrations"},
        "20261121110000_cron_alerts.sql",
    ),
    "a column of the app's is gone": (
        sql("ALTER TABLE activities RENAME COLUMN registered_by TO author"),
        {"app's tables"},
        "activities.registered_by is missing",
    ),
    "a column has another type": (
        sql("ALTER TABLE notifications ALTER COLUMN run_id TYPE text"),
        {"app's tables"},
        "notifications.run_id is text",
    ),
    "a grant is missing": (
        sql("REVOKE EXECUTE ON FUNCTION hold_run_date FROM reminder_scheduler"),
        {"grants"},
        "reminder_scheduler may not EXECUTE on hold_run_date",
    ),
    "anybody may take the lock": (
        sql("GRANT EXECUTE ON FUNCTION try_run_lock TO anon"),
        {"grants"},
        "anon may EXECUTE on try_run_lock",
    ),
    "the runner may delete runs": (
        sql("GRANT DELETE ON cron_execution_logs TO cron_runner"),
        {"grants"},
        "cron_runner may DELETE on cron_execution_logs",
    ),
    "the runner may read messages": (
        sql("GRANT SELECT ON cron_execution_logs TO cron_runner"),
        {"grants"},
        "cron_runner may SELECT other columns",
    ),
    "row level security is off": (
        sql("ALTER TABLE cron_execution_logs DISABLE ROW LEVEL SECURITY"),
        {"row level security"},
        "off on cron_execution_logs",
    ),
    "row level security is forced": (
        sql("ALTER TABLE cron_execution_logs FORCE ROW LEVEL SECURITY"),
        {"row level security"},
        "forced on cron_execution_logs",
    ),
    "an index is gone": (
        sql("DROP INDEX notifications_once_per_gap"),
        SHAPES,
        "index notifications_once_per_gap on notifications is missing",
    ),
    "an index is not unique": (
        sql(
            "DROP INDEX notifications_once_per_gap;"
            "CREATE INDEX notifications_once_per_gap ON notifications (assignment_id, kind, contact_anchor)"
        ),
        SHAPES,
        "CREATE INDEX notifications_once_per_gap",
    ),
    "an index is on other columns": (
        sql(
            "DROP INDEX notifications_once_per_gap;"
            "CREATE UNIQUE INDEX notifications_once_per_gap ON notifications (assignment_id, kind)"
        ),
        SHAPES,
        "(assignment_id, kind)",
    ),
    "an index is partial": (
        sql(
            "DROP INDEX notifications_once_per_gap;"
            "CREATE UNIQUE INDEX notifications_once_per_gap ON notifications (assignment_id, kind, contact_anchor)"
            " WHERE read_at IS NULL"
        ),
        SHAPES,
        "WHERE (read_at IS NULL)",
    ),
    "an index is on another table": (
        sql("DROP INDEX notifications_once_per_gap;CREATE UNIQUE INDEX notifications_once_per_gap ON activities (id)"),
        SHAPES,
        "is on activities, not on notifications",
    ),
    "an index is invalid, as a failed CONCURRENTLY leaves it": (
        by_superuser(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.notifications_once_per_gap'::regclass"
        ),
        SHAPES,
        "INVALID",
    ),
    "a trigger is disabled": (
        sql("ALTER TABLE activities DISABLE TRIGGER contact_moves_the_date"),
        SHAPES,
        "DISABLED",
    ),
    "a trigger is gone": (
        sql("DROP TRIGGER contact_moves_the_date ON activities"),
        SHAPES,
        "trigger contact_moves_the_date on activities is missing",
    ),
    "a trigger calls another function": (
        sql(
            "CREATE OR REPLACE TRIGGER notifications_follow_the_gap AFTER UPDATE ON assignments"
            " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        SHAPES,
        "suppress_redundant_updates_trigger",
    ),
    "a trigger is added to the ledger": (
        sql(
            "CREATE TRIGGER silent BEFORE UPDATE ON cron_execution_logs"
            " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        ),
        SHAPES,
        "trigger silent on cron_execution_logs was not created by the migrations",
    ),
    "a definer function was replaced": (
        sql(REPLACED),
        SHAPES,
        "function hold_run is not as the migrations made it",
    ),
    "a definer function has another search_path": (
        sql("ALTER FUNCTION hold_run(uuid) SET search_path = public"),
        SHAPES,
        "settings search_path=public",
    ),
    "a definer function belongs to another": (
        by_superuser("ALTER FUNCTION public.prune_runs(integer, integer) OWNER TO service_role"),
        {"shapes", "grants"},
        "OWNER service_role",
    ),
    "a policy of the ledger lets everybody read": (
        sql("ALTER POLICY admins_read_runs ON cron_execution_logs USING (true)"),
        SHAPES,
        "using true",
    ),
    "a policy is added to the ledger": (
        sql("CREATE POLICY more ON cron_execution_logs FOR SELECT TO authenticated USING (true)"),
        SHAPES,
        "policy more on cron_execution_logs was not created by the migrations",
    ),
    "a policy of our role is gone": (
        sql("DROP POLICY scheduler_reads_assignments ON assignments"),
        SHAPES,
        "policy scheduler_reads_assignments on assignments is missing",
    ),
    "a role starts with another DateStyle": (
        by_superuser("ALTER ROLE cron_runner IN DATABASE {database} SET DateStyle = 'SQL, DMY'"),
        {"role settings"},
        "datestyle = SQL, DMY",
    ),
    "a role starts without schema public": (
        by_superuser("ALTER ROLE cron_runner IN DATABASE {database} SET search_path = 'other'"),
        {"role settings"},
        "search_path = other",
    ),
    "a role starts with a short time-out": (
        by_superuser("ALTER ROLE cron_runner IN DATABASE {database} SET statement_timeout = '1ms'"),
        {"role settings"},
        "statement_timeout = 1ms",
    ),
    "a role fires no triggers": (
        by_superuser("ALTER ROLE reminder_scheduler IN DATABASE {database} SET session_replication_role = 'replica'"),
        {"role settings"},
        "session_replication_role = replica",
    ),
    "a URI is Prisma's": (
        put_uri(lambda uri: f"{uri}{'&' if '?' in uri else '?'}pgbouncer=true"),
        {"login of cron_runner"},
        "parameter that libpq does not know: pgbouncer",
    ),
    "a password is not percent-encoded": (
        put_uri(lambda uri: uri.replace("@", "/x@", 1)),
        {"login of cron_runner"},
        "not percent-encoded",
    ),
    "a secret is missing": (name_missing_secret, {"login of cron_runner"}, "ResourceNotFoundException"),
    "a secret is no URI": (
        lambda site: site.put("cron", "DATABASE_SECRET", '{"user": "x"}'),
        {"login of cron_runner"},
        "holds no libpq URI",
    ),
    "a secret is another role's": (swap_logins, {"login of cron_runner"}, "is not the login of cron_runner"),
    "a password is wrong": (wrong_password, {"login of cron_runner"}, "rejected the password"),
    "a URI has options": (options_in_the_uri, {"login of cron_runner"}, "options="),
    "the token is short": (
        lambda site: site.put("cron", "SCHEDULER_TOKEN_SECRET", "short"),
        {"scheduler token"},
        "shorter than 32",
    ),
    "the webhook is not https": (
        lambda site: site.put("cron", "SLACK_WEBHOOK_SECRET", WEBHOOK),
        {"alert channels"},
        "no https URL",
    ),
    "the schedule fires at another time": (
        lambda site: site.change_schedule(ScheduleExpression="cron(0 7 * * ? *)"),
        {"schedule"},
        "fires by cron(0 7 * * ? *)",
    ),
    "the schedule has a time zone": (
        lambda site: site.change_schedule(ScheduleExpressionTimezone="Europe/London"),
        {"schedule"},
        "Europe/London",
    ),
}


def problems(site: Site) -> list[tuple[str, str, str]]:
    return [
        (check.name, finding.what, finding.fix)
        for check, findings in examine(site.target)
        for finding in findings
        if finding.level == "problem"
    ]


def test_a_healthy_stack_has_no_problem(site: Site) -> None:
    """Else every other test here proves nothing."""
    assert [] == problems(site)


@pytest.mark.parametrize("fault", one_of_each({fault: frozenset(checks) for fault, (_, checks, _) in BROKEN.items()}))
def test_a_broken_set_up_is_named_with_its_fix(site: Site, fault: str) -> None:
    """By the checks that look at it, and by no other."""
    make, checks, words = BROKEN[fault]
    make(site)
    found = problems(site)
    assert checks == {name for name, _, _ in found}
    assert any(words in what for _, what, _ in found), found
    assert [] == [what for _, what, fix in found if not fix]


def test_no_channel_at_all(site: Site) -> None:
    """Then no one hears of a failure."""
    forget("cron", "ALERT_TOPIC_ARN")(site)
    forget("cron", "SLACK_WEBHOOK_SECRET")(site)
    assert ["alert channels"] == [name for name, _, _ in problems(site)]


def test_a_role_that_cannot_log_in(site: Site, server: Server) -> None:
    """As the migrations leave it; seen in a transaction, for roles belong to all tests."""
    from ops.cli.doctor import rights
    from ops.cli.doctor.examination import Examination

    with psycopg.connect(server.dsn(server.superuser, site.stack.database)) as connection:
        connection.execute("ALTER ROLE contact_admin_api NOLOGIN")
        found = list(rights.roles(Examination(site.target, connection)))
        connection.rollback()
    assert ["contact_admin_api cannot log in"] == [finding.what for finding in found]


@table("attribute", ["SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION", "INHERIT"])
def test_a_role_that_may_too_much(site: Site, server: Server, attribute: str) -> None:
    """An existing role of our name; seen in a transaction, for roles belong to all tests."""
    assert [f"cron_runner has {attribute}"] == after(site, server, f"ALTER ROLE cron_runner {attribute}")


def test_a_role_that_may_become_another(site: Site, server: Server) -> None:
    """And one of the API's roles that may become ours."""
    assert ["cron_runner may become service_role"] == after(site, server, "GRANT service_role TO cron_runner")
    assert ["anon may become cron_runner"] == after(site, server, "GRANT cron_runner TO anon")


def after(site: Site, server: Server, statement: str) -> list[str]:
    """What the check of the roles finds after `statement`, which is undone."""
    from ops.cli.doctor import rights
    from ops.cli.doctor.examination import Examination

    with psycopg.connect(server.dsn(server.superuser, site.stack.database)) as connection:
        connection.execute(statement.encode())
        found = list(rights.roles(Examination(site.target, connection)))
        connection.rollback()
    assert [] == [finding for finding in found if not finding.fix]
    return [finding.what for finding in found]


def test_a_setting_that_a_role_pins_is_harmless(site: Site) -> None:
    """The role's own value counts, not the database's."""
    by_superuser("ALTER DATABASE {database} SET IntervalStyle = 'iso_8601'")(site)
    for role in OUR_ROLES:
        by_superuser(f"ALTER ROLE {role} IN DATABASE {{database}} SET IntervalStyle = 'postgres'")(site)
    assert [] == problems(site)


def test_an_app_with_its_own_enum_has_the_same_shapes() -> None:
    """A cast in a predicate or policy is the column's type, not another meaning."""
    text = "CREATE INDEX i ON public.assignments USING btree (id) WHERE (status = 'open'::{kind})"
    shapes_of = {
        shapes._without_casts(text.format(kind=kind)) for kind in ("text", "public.state", "character varying")
    }
    assert 1 == len(shapes_of)


def test_less_than_verify_full_is_a_warning(site: Site) -> None:
    """`require` encrypts and trusts any server; the fix names verify-full."""
    from ops.cli.doctor import logins

    found = list(
        logins._uri("x", "cron_runner", {"user": "cron_runner", "host": "db", "port": "6543", "sslmode": "require"})
    )
    assert [("warning", True)] == [(finding.level, "verify-full" in finding.fix) for finding in found]
    verified = {"user": "cron_runner", "host": "db", "port": "6543", "sslmode": "verify-full"}
    assert [] == list(logins._uri("x", "cron_runner", verified))


def test_a_role_that_starts_with_a_limit(site: Site, server: Server) -> None:
    """A transaction_timeout of the role's would end the lock's transaction in mid-run."""
    with site.stack.connect() as connection:
        connection.execute(
            f"ALTER ROLE postgres IN DATABASE {site.stack.database} SET statement_timeout = '2min'".encode()
        )
    assert [] == problems(site)
    with psycopg.connect(server.dsn(server.superuser, site.stack.database), autocommit=True) as connection:
        database = site.stack.database
        connection.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on".encode())
    assert "role settings" in {name for name, _, _ in problems(site)}


def test_no_database_leaves_the_other_checks_their_turn(site: Site) -> None:
    """The database's own checks are skipped, the secrets and the schedule are still looked at."""
    from dataclasses import replace

    site.target.state = replace(site.target.state, database_url="postgresql://nobody@127.0.0.1:1/x")
    printed = {check.name: {finding.level for finding in findings} for check, findings in examine(site.target)}
    assert ({"problem"}, {"skipped"}, {"ok"}) == (printed["database"], printed["grants"], printed["schedule"])


def test_no_secret_is_shown(site: Site) -> None:
    """Even of a secret that is wrong."""
    site.put("cron", "DATABASE_SECRET", "postgresql://x:hunter2-hunter2@127.0.0.1:1/x?nonsense=1")
    site.put("scheduler", "SCHEDULER_TOKEN_SECRET", "hunter2")
    printed = json.dumps([[vars_of(finding) for finding in findings] for _, findings in examine(site.target)])
    assert "hunter2" not in printed


def vars_of(finding: object) -> str:
    return repr(finding)
