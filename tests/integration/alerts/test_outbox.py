"""The outbox: written once, sent once, each channel apart, never given up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reminders import database
from reminders.alerts import outbox as module
from reminders.alerts.channels import ChannelError
from reminders.alerts.message import Alert
from reminders.alerts.outbox import Outbox
from reminders.alerts.policy import Kind
from reminders.database import Connection
from reminders.errors import DatabaseError
from reminders.limits import LIMITS
from reminders.runs import JOB_NAME
from tests.alerting import FAILURE, FakeChannel, alerts, captured_log, deliveries, result, time_passes
from tests.factories import add_run, count
from tests.helpers.connections import AsRole
from tests.helpers.services import MakeOutbox
from tests.helpers.waiting import eventually

MINUTE = timedelta(minutes=1)


Write = Callable[..., bool]
ENDED = {"failure": "failed", "repeat": "failed", "recovery": "success", "overrun": "running"}


def about_a_run(owner: Connection, kind: Kind = "failure", failures: int = 2) -> Alert:
    """An alert of a kind, about a run that ended as such a run does."""
    run_id = add_run(owner, ENDED[kind])
    return replace(FAILURE, kind=kind, run_id=str(run_id), consecutive_failure_count=failures)


@pytest.fixture
def failure(owner: Connection) -> Alert:
    """An alert that is not written yet."""
    return about_a_run(owner)


@pytest.fixture
def write(outbox: Outbox, runner: Connection, owner: Connection) -> Write:
    """Writes an alert about a run of its own."""

    def write(kind: Kind = "failure", failures: int = 2) -> bool:
        return outbox.write(runner, about_a_run(owner, kind, failures))

    return write


@pytest.fixture
def written(outbox: Outbox, runner: Connection, failure: Alert) -> Alert:
    """One alert that waits for both channels."""
    outbox.write(runner, failure)
    return failure


def test_alert_written_twice(outbox: Outbox, runner: Connection, owner: Connection, failure: Alert) -> None:
    """A second alert about the same event writes nothing."""
    assert [True, False] == [outbox.write(runner, failure) for _ in range(2)]
    assert (1, 2) == (count(owner, "cron_alerts"), count(owner, "cron_alert_deliveries"))


def test_alert_written_by_two_at_once(outbox: Outbox, as_role: AsRole, owner: Connection, failure: Alert) -> None:
    """The second waits for the first's commit and then writes nothing."""
    first, second = as_role("cron_runner"), as_role("cron_runner")
    with ThreadPoolExecutor(1) as pool:
        with database.transaction(first):
            assert outbox.write(first, failure)
            late = pool.submit(outbox.write, second, failure)
            time.sleep(0.1)
            assert not late.done()
        assert not late.result(timeout=30)
    assert (1, 2) == (count(owner, "cron_alerts"), count(owner, "cron_alert_deliveries"))


def test_alert_of_a_transaction_that_fails(outbox: Outbox, runner: Connection, owner: Connection) -> None:
    """The alert goes with its run: a settling that is rolled back leaves none."""
    failed = result(2, 1, run_id=add_run(owner, "failed"))
    with pytest.raises(DatabaseError, match="22012"), database.transaction(runner):
        outbox.write_for(runner, failed)
        runner.execute("SELECT 1/0")
    assert 0 == count(owner, "cron_alerts")


def test_result_that_needs_no_alert(outbox: Outbox, runner: Connection, owner: Connection) -> None:
    """Nothing is written for it."""
    outbox.write_for(runner, result(1, 0))
    assert 0 == count(owner, "cron_alerts")


def test_delivery(outbox: Outbox, runner: Connection, owner: Connection, written: Alert, slack: FakeChannel) -> None:
    """Each channel gets the alert as it was written, once, and the rows say so."""
    for _ in range(3):
        outbox.deliver(runner)
    assert [written] == slack.sent
    assert {"slack": (1, True, None), "sns": (1, True, None)} == {
        name: (row["attempts"], row["is_delivered"], row["last_error"]) for name, row in deliveries(owner).items()
    }


def test_several_alerts(outbox: Outbox, runner: Connection, slack: FakeChannel, write: Write) -> None:
    """All that wait are sent in one go, oldest first."""
    for n in range(4):
        write("repeat", n)
    outbox.deliver(runner)
    assert [0, 1, 2, 3] == [alert.consecutive_failure_count for alert in slack.sent]


@pytest.mark.usefixtures("written")
def test_two_deliverers_at_once(outbox: Outbox, runner: Connection, slack: FakeChannel, sns: FakeChannel) -> None:
    """While one is sending, another finds nothing to send, and does not wait for it."""
    sending, go_on = threading.Event(), threading.Event()

    def block(alert: Alert) -> None:
        sending.set()
        assert go_on.wait(30)

    slack.before = block
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(outbox.deliver, runner)
        assert sending.wait(30)
        slack.before = None
        began = time.monotonic()
        outbox.deliver(runner)
        assert time.monotonic() - began < 4
        assert eventually(lambda: ([], 1) == (slack.sent, len(sns.sent)))
        go_on.set()
        first.result(timeout=30)
    assert (1, 1) == (len(slack.sent), len(sns.sent))


def test_many_deliverers_and_many_alerts(
    outbox: Outbox, as_role: AsRole, slack: FakeChannel, sns: FakeChannel, write: Write
) -> None:
    """Six deliverers in a race send each of ten alerts once a channel."""
    for n in range(10):
        write("repeat", n)
    connections = [as_role("cron_runner") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(outbox.deliver, connections))
    for channel in (slack, sns):
        assert list(range(10)) == sorted(alert.consecutive_failure_count for alert in channel.sent)


@pytest.mark.usefixtures("written")
def test_channel_that_fails(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel, sns: FakeChannel
) -> None:
    """It keeps its own state; the channel that works gets nothing twice because the other was down."""
    slack.fails("it has an internal error (503)")
    outbox.deliver(runner)
    assert ("slack: it has an internal error (503)", 1, False) == tuple(
        deliveries(owner)["slack"][key] for key in ("last_error", "attempts", "is_delivered")
    )
    slack.works()
    time_passes(owner)
    outbox.deliver(runner)
    assert (["failure"], ["failure"]) == (slack.kinds, sns.kinds)
    assert (None, 2, True) == tuple(
        deliveries(owner)["slack"][key] for key in ("last_error", "attempts", "is_delivered")
    )


@pytest.mark.usefixtures("written")
def test_pause_after_a_failure(outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel) -> None:
    """No one tries again before the pause is over, and each pause is twice the last, up to an hour."""
    slack.fails()
    pauses = []
    for _ in range(9):
        outbox.deliver(runner)
        pauses.append(deliveries(owner)["slack"]["pause"])
        outbox.deliver(runner)
        time_passes(owner)
    assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == [round(pause / MINUTE) for pause in pauses]
    assert 9 == deliveries(owner)["slack"]["attempts"]


@pytest.mark.usefixtures("written")
def test_failure_that_no_retry_helps(outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel) -> None:
    """It waits for hours, not minutes; and is not given up, for a person may mend it."""
    slack.fails("the webhook no longer exists (404)", permanent=True)
    for attempt in range(1, 4):
        with captured_log() as log:
            outbox.deliver(runner)
        row = deliveries(owner)["slack"]
        assert (attempt, 6 * 60) == (row["attempts"], round(row["pause"] / MINUTE))
        assert "alert not delivered, it will be tried again" in log.getvalue()
        time_passes(owner)
    slack.works()
    outbox.deliver(runner)
    assert ["failure"] == slack.kinds


@pytest.mark.usefixtures("written")
def test_channel_that_asks_for_time(outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel) -> None:
    """Its Retry-After is kept."""
    slack.fails("too many messages", retry_after=timedelta(minutes=45))
    outbox.deliver(runner)
    assert 45 == round(deliveries(owner)["slack"]["pause"] / MINUTE)


@pytest.mark.usefixtures("written")
def test_channel_that_has_been_down_for_a_month(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel
) -> None:
    """Never given up, whatever the number of attempts."""
    owner.execute("UPDATE cron_alert_deliveries SET attempts = 100000 WHERE channel = 'slack'")
    slack.fails()
    outbox.deliver(runner)
    row = deliveries(owner)["slack"]
    assert (100_001, 60) == (row["attempts"], round(row["pause"] / MINUTE))


@pytest.mark.usefixtures("written")
def test_alert_that_a_channel_refuses_for_a_day(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel, write: Write
) -> None:
    """Newer ones wait behind it for a day, so that their order stays; then they pass."""

    def picky(alert: Alert) -> None:
        if alert.kind == "failure":
            raise ChannelError("slack: it does not accept the message's form (400)", permanent=True)

    slack.before = picky
    write("overrun")
    for _ in range(2):
        outbox.deliver(runner)
    assert [] == slack.kinds
    owner.execute("UPDATE cron_alerts SET created_at = created_at - interval '25 hours' WHERE kind = 'failure'")
    outbox.deliver(runner)
    assert ["overrun"] == slack.kinds


@pytest.mark.usefixtures("written")
def test_recovery_while_the_failure_is_being_sent(
    outbox: Outbox, runner: Connection, slack: FakeChannel, write: Write
) -> None:
    """However slow the first delivery is, the channel hears of the failure first and of the recovery then."""
    sending, go_on = threading.Event(), threading.Event()

    def block(alert: Alert) -> None:
        slack.works()
        sending.set()
        assert go_on.wait(30)

    slack.before = block
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(outbox.deliver, runner)
        assert sending.wait(30)
        write("recovery")
        outbox.deliver(runner)
        assert [] == slack.kinds
        go_on.set()
        first.result(timeout=30)
    assert ["failure", "recovery"] == slack.kinds


def test_recovery_before_the_failure_was_sent(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel, sns: FakeChannel, write: Write
) -> None:
    """A channel that was down gets one notice of both; one that had the failure gets the recovery."""
    slack.fails()
    write("failure")
    outbox.deliver(runner)
    write("repeat", 3)
    write("overrun")
    write("recovery", 3)
    slack.works()
    time_passes(owner)
    outbox.deliver(runner)
    assert ["overrun", "recovery"] == slack.kinds
    assert ["failure", "overrun", "recovery"] == sns.kinds
    assert "assignment-reminder-cron: has recovered after 3 failed runs" == slack.sent[-1].headline
    waiting = owner.execute("SELECT count(*) FROM cron_alert_deliveries WHERE delivered_at IS NULL").fetchone()
    assert (0,) == waiting


def test_failure_after_a_recovery(outbox: Outbox, runner: Connection, slack: FakeChannel, write: Write) -> None:
    """A recovery reports the failures before it, not of those after it."""
    for kind in ("recovery", "failure"):
        write(kind)
    outbox.deliver(runner)
    assert ["recovery", "failure"] == slack.kinds


@pytest.mark.usefixtures("written")
def test_channel_that_is_no_longer_configured(
    make_outbox: MakeOutbox, runner: Connection, owner: Connection, sns: FakeChannel
) -> None:
    """Its alerts are left alone; when it comes back they are sent."""
    make_outbox(sns).deliver(runner)
    row = deliveries(owner)["slack"]
    assert (["failure"], 0, False) == (sns.kinds, row["attempts"], row["is_delivered"])
    slack = FakeChannel("slack")
    make_outbox(slack).deliver(runner)
    assert ["failure"] == slack.kinds


def test_no_channel_at_all(make_outbox: MakeOutbox, runner: Connection, owner: Connection, failure: Alert) -> None:
    """The alert stays in the outbox, where operators can see it, and the log says what to set."""
    with captured_log() as log:
        make_outbox().write(runner, failure)
    make_outbox().deliver(runner)
    assert (1, 0) == (count(owner, "cron_alerts"), count(owner, "cron_alert_deliveries"))
    assert "set ALERT_TOPIC_ARN or SLACK_WEBHOOK_SECRET" in log.getvalue()


@pytest.mark.usefixtures("written")
def test_channel_that_hangs(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel, sns: FakeChannel
) -> None:
    """Delivery is over within 5 s, the failure is marked within them, and the other channel got the alert."""
    slack.before = lambda alert: threading.Event().wait(30)
    began = time.monotonic()
    outbox.deliver(runner)
    assert time.monotonic() - began < LIMITS.delivery + 10
    assert ("slack: no answer within 4.0 s", 1) == tuple(
        deliveries(owner)["slack"][key] for key in ("last_error", "attempts")
    )
    assert ["failure"] == sns.kinds


@pytest.mark.usefixtures("written")
def test_no_time_left(outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel) -> None:
    """Nothing is begun that could not be marked; it waits for the next who comes."""
    outbox.deliver(runner, seconds=0.2)
    assert ([], 0) == (slack.sent, deliveries(owner)["slack"]["attempts"])
    outbox.deliver(runner)
    assert ["failure"] == slack.kinds


@pytest.mark.usefixtures("written")
def test_deliverer_that_is_frozen(
    make_outbox: MakeOutbox,
    runner: Connection,
    owner: Connection,
    slack: FakeChannel,
    sns: FakeChannel,
) -> None:
    """
    PostgreSQL takes the claim from it, and another session sends.

    What it does when it resumes cannot be prevented: it sends, too, and its mark changes nothing.
    """
    outbox = make_outbox(slack, sns, limits=replace(LIMITS, claim=replace(LIMITS.claim, idle=0.2)))
    sending, resume = threading.Event(), threading.Event()

    def freeze(alert: Alert) -> None:
        slack.works()
        sending.set()
        assert resume.wait(30)

    def another_session_sends() -> bool:
        outbox.deliver(runner)
        return bool(slack.sent)

    slack.before = freeze
    with captured_log() as log, ThreadPoolExecutor(1) as pool:
        frozen = pool.submit(outbox.deliver, runner)
        assert sending.wait(30)
        assert eventually(another_session_sends)
        assert (["failure"], True) == (slack.kinds, deliveries(owner)["slack"]["is_delivered"])
        resume.set()
        frozen.result(timeout=30)
    assert 1 == deliveries(owner)["slack"]["attempts"]
    assert "alerts not delivered" in log.getvalue()
    assert ["failure"] == sns.kinds


def test_outbox_that_cannot_be_read(outbox: Outbox, runner: Connection) -> None:
    """Delivering raises nothing: a lost connection is logged."""
    runner.close()
    with captured_log() as log:
        outbox.deliver(runner)
    assert "outbox not read" in log.getvalue()


@pytest.mark.usefixtures("written")
def test_deliverer_without_a_connection(
    make_outbox: MakeOutbox, runner: Connection, owner: Connection, slack: FakeChannel
) -> None:
    """The channels' own connections may fail too: logged, and the alert waits."""
    owner.execute("ALTER ROLE cron_runner CONNECTION LIMIT 1")
    try:
        with captured_log() as log:
            make_outbox(slack).deliver(runner)
    finally:
        owner.execute("ALTER ROLE cron_runner CONNECTION LIMIT -1")
    assert [] == slack.sent
    assert "alerts not delivered" in log.getvalue()


@pytest.mark.parametrize("payload", ['{"v": 2}', '{"kind": "failure", "job_name": "x", "failing_since": "soon"}', "7"])
def test_payload_of_a_version_to_come(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel, write: Write, payload: str
) -> None:
    """A row that this version cannot read is reported as such, and blocks nothing behind it."""
    alert = owner.execute(
        """
        WITH a AS (INSERT INTO cron_alerts (kind, dedupe_key, payload) VALUES ('failure', 'x', %s) RETURNING id)
        INSERT INTO cron_alert_deliveries (alert_id, channel) SELECT id, 'slack' FROM a RETURNING alert_id
        """,
        [payload],
    ).fetchone()
    write("overrun")
    outbox.deliver(runner)
    assert alert and ["failure", "overrun"] == slack.kinds
    text = f"this version cannot read the details of alert {alert[0]}: see the table cron_alerts"
    assert text == slack.sent[0].error_message


@pytest.mark.parametrize(
    ("succeeded", "counts", "expected"),
    [(False, (2, 1), ("failure", 2)), (True, (0, 3), ("recovery", 3))],
)
def test_what_an_alert_of_a_run_contains(
    outbox: Outbox, runner: Connection, owner: Connection, succeeded: bool, counts: tuple[int, int], expected: object
) -> None:
    """The count of the outage, before it ended, and the run's own times; the key is kind and run."""
    run_id = add_run(owner, "success" if succeeded else "failed")
    settled = result(*counts, succeeded=succeeded, run_id=run_id)
    outbox.write_for(runner, settled)
    row = owner.execute("SELECT dedupe_key, run_id, payload FROM cron_alerts").fetchone()
    assert row is not None
    assert expected == (row[2]["kind"], row[2]["consecutive_failure_count"])
    assert (f"{row[2]['kind']}:{run_id}", run_id, str(run_id)) == (row[0], row[1], row[2]["run_id"])
    assert ("2026-11-21T06:00:07Z", "2026-11-21T06:00:07Z") == (
        row[2]["scheduled_for"],
        row[2]["last_success_at"] or "2026-11-21T06:00:07Z",
    )
    assert [(row[2]["kind"], row[0])] == alerts(owner)


def test_alert_in_its_pause_is_not_claimed(runner: Connection, owner: Connection, written: Alert) -> None:
    """Also when the pause begins after the deliverer saw that the channel has something to send."""
    owner.execute("UPDATE cron_alert_deliveries SET next_attempt_at = now() + interval '1 hour'")
    with database.transaction(runner):
        assert None is module.queries.first(runner, "claim_delivery", module._Claim, channel="slack")


def test_failure_after_a_recovery_that_the_channel_refuses(
    outbox: Outbox, runner: Connection, owner: Connection, slack: FakeChannel, write: Write
) -> None:
    """The recovery is older, so it does not report this failure."""
    write("recovery")
    owner.execute("UPDATE cron_alerts SET created_at = now() - interval '2 days'")
    owner.execute("UPDATE cron_alert_deliveries SET next_attempt_at = now() + interval '1 hour'")
    write("failure")
    outbox.deliver(runner)
    assert ["failure"] == [alert.kind for alert in slack.sent]


def test_recovery_for_another_channel_only(
    make_outbox: MakeOutbox, runner: Connection, owner: Connection, slack: FakeChannel, sns: FakeChannel
) -> None:
    """A channel that was added or removed meanwhile gets what was written for it."""
    both = make_outbox(slack, sns)
    both.write(runner, about_a_run(owner, "failure"))
    make_outbox(slack).write(runner, about_a_run(owner, "recovery"))
    both.deliver(runner)
    assert (["recovery"], ["failure"]) == ([a.kind for a in slack.sent], [a.kind for a in sns.sent])


def test_beginning_of_an_outage(runner: Connection, owner: Connection) -> None:
    """The first failure after the last success, of this job."""
    began = datetime(2026, 1, 1, 6, tzinfo=UTC)
    for day, status, job in ((0, "failed", JOB_NAME), (1, "success", JOB_NAME), (2, "failed", "another-job")):
        add_run(owner, status, started_at=began + timedelta(days=day), job_name=job)
    for day in (3, 4):
        add_run(owner, "failed", started_at=began + timedelta(days=day))
    values = {"job_name": JOB_NAME, "after": began + timedelta(days=1)}
    assert began + timedelta(days=3) == module.queries.value(runner, "failing_since", **values)
    assert began == module.queries.value(runner, "failing_since", **{**values, "after": None})
