"""The courier on a real database, with a provider that does what the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError

from reminders.database import Connection
from reminders.messages import courier
from reminders.messages.courier import CourierSummary
from reminders.messages.delivery import CourierDeps, CourierLimits
from reminders.messages.email import EmailChannel, EmailSettings
from reminders.messages.message import AccountError, Message, MessageChannel, Result, Status
from reminders.messages.push import PushChannel
from tests.factories import MENTOR, add_assignment
from tests.helpers.connections import AsRole
from tests.messages import (
    RecordingChannel,
    add_device,
    add_notification,
    add_person,
    always_open,
    claim,
    compose,
    lease,
    load,
    messages,
    refuses,
    settle,
)

Run = Callable[..., CourierSummary]


@pytest.fixture
def connect(as_role: AsRole) -> Callable[[], AbstractContextManager[Connection]]:
    @contextmanager
    def opened() -> Iterator[Connection]:
        connection = as_role("reminder_courier")
        yield connection
        connection.close()

    return opened


@pytest.fixture
def run(owner: Connection, connect: Callable[[], AbstractContextManager[Connection]]) -> Run:
    """Runs the courier once with these channels."""
    always_open(owner)

    def run_once(*channels: MessageChannel, seconds: float = 60, **limits: object) -> CourierSummary:
        ends = time.monotonic() + seconds
        return courier.run(
            CourierDeps(
                connect=connect,
                channels=channels,
                limits=CourierLimits(**{"per_second": 1000.0, "reserve_seconds": 0.5, **limits}),  # type: ignore[arg-type]
                seconds_left=lambda: ends - time.monotonic(),
                clock=time.monotonic,
                sleep=time.sleep,
                alert_channels=["sns"],
            )
        )

    return run_once


def people(owner: Connection, count: int) -> None:
    for number in range(count):
        person = add_person(owner, uuid4(), f"mentor{number}@example.org")
        assignment = add_assignment_of(owner, person)
        add_notification(owner, person, assignment=assignment)


def add_assignment_of(owner: Connection, person: UUID) -> UUID:
    assignment = add_assignment(owner)
    owner.execute("UPDATE assignments SET peer_mentor_id = %s WHERE id = %s", [person, assignment])
    return assignment


def statuses(owner: Connection) -> list[str]:
    return [message["status"] for message in messages(owner)]


def test_sent_once(owner: Connection, run: Run) -> None:
    """One run composes and sends; the next finds nothing to do."""
    people(owner, 3)
    provider = RecordingChannel()
    assert 3 == run(provider).channels["email"].sent
    assert 0 == run(provider).channels["email"].sent
    assert ["sent"] * 3 == statuses(owner)
    assert 3 == len({message.recipient_id for message in provider.taken})


def test_two_couriers_at_once(owner: Connection, run: Run) -> None:
    """Every message is sent by one of them, and by one only."""
    people(owner, 40)
    providers = [RecordingChannel() for _ in range(4)]
    threads = [threading.Thread(target=run, args=(provider,)) for provider in providers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = [message.message_id for provider in providers for message in provider.taken]
    assert (40, 40) == (len(sent), len(set(sent)))
    assert ["sent"] * 40 == statuses(owner)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE notifications SET read_at = now()",
        "UPDATE assignments SET status = 'closed'",
        "UPDATE assignments SET last_contact_date = last_contact_date + 1",
        "UPDATE assignments SET peer_mentor_id = gen_random_uuid()",
    ],
)
@pytest.mark.parametrize("moment", ["composed", "claimed"])
def test_never_after_contact(owner: Connection, run: Run, as_role: AsRole, change: str, moment: str) -> None:
    """Read, contacted, closed or handed over since it was composed, or claimed: nothing is sent."""
    people(owner, 1)
    connection = as_role("reminder_courier")
    compose(connection)
    provider = RecordingChannel()
    if moment == "claimed":
        (claimed,) = claim(connection)
        owner.execute(change.encode())
        assert [] == load(connection, [claimed], lease(owner, claimed))
    else:
        owner.execute(change.encode())
        run(provider)
    assert [] == provider.taken
    assert ["cancelled"] == statuses(owner)


def test_contact_drops_one_of_many(owner: Connection, run: Run) -> None:
    """The message speaks of those that are still open."""
    add_person(owner)
    gaps = {add_notification(owner, gap=gap): gap for gap in (12, 30, 45)}
    owner.execute("UPDATE notifications SET read_at = now() WHERE gap_days = 45")
    provider = RecordingChannel()
    run(provider)
    (message,) = provider.taken
    assert (2, 30, 0) == (message.reminders, message.reminder_gap, message.escalations)
    assert 3 == len(gaps)


def test_killed_courier_s_message_is_sent_again_when_its_lease_ends(
    owner: Connection, run: Run, as_role: AsRole
) -> None:
    """Nothing is lost; before the lease ends no one else takes it."""
    people(owner, 1)
    connection = as_role("reminder_courier")
    compose(connection)
    claim(connection, lease=0.3)
    provider = RecordingChannel()
    run(provider)
    assert [] == provider.taken
    time.sleep(0.4)
    run(provider)
    assert 1 == len(provider.taken)
    assert [(2, "sent")] == [(m["attempts"], m["status"]) for m in messages(owner)]


def test_claim_does_not_wait(owner: Connection, run: Run, as_role: AsRole) -> None:
    """A message that another session has locked is passed over."""
    people(owner, 2)
    connection = as_role("reminder_courier")
    compose(connection)
    connection.execute("SET lock_timeout = '1s'")
    held, free = [message["id"] for message in messages(owner)]
    with owner.transaction():
        owner.execute("SELECT FROM messages WHERE id = %s FOR UPDATE", [held])
        assert [free] == claim(connection)


def test_lease_that_has_ended_sends_nothing(owner: Connection, run: Run, as_role: AsRole) -> None:
    """A paused courier that is resumed after its lease finds nothing to load."""
    people(owner, 1)
    connection = as_role("reminder_courier")
    compose(connection)
    (claimed,) = claim(connection, lease=0.01)
    time.sleep(0.05)
    assert [] == load(connection, [claimed], lease(owner, claimed))


@pytest.mark.parametrize("status", ["sent", "retry", "release", "failed"])
def test_lease_of_another_courier(owner: Connection, run: Run, as_role: AsRole, status: str) -> None:
    """A courier that was paused for longer than its lease can load and settle nothing that another one has claimed."""
    people(owner, 1)
    connection = as_role("reminder_courier")
    compose(connection)
    (claimed,) = claim(connection, lease=0.01)
    ended = lease(owner, claimed)
    time.sleep(0.05)
    assert [claimed] == claim(connection)
    assert [] == load(connection, [claimed], ended)
    assert 0 == settle(connection, claimed, ended, status)
    assert ["sending"] == statuses(owner)
    assert 1 == settle(connection, claimed, lease(owner, claimed))


def test_lease_of_a_message_that_was_given_back(owner: Connection, run: Run, as_role: AsRole) -> None:
    """It ends with the release: a thread of that courier cannot load what another one has claimed since."""
    people(owner, 1)
    connection = as_role("reminder_courier")
    compose(connection)
    (claimed,) = claim(connection)
    released = lease(owner, claimed)
    settle(connection, claimed, released, "release")
    assert [claimed] == claim(connection)
    assert [] == load(connection, [claimed], released)


def test_lease_that_is_too_short_to_send(owner: Connection, run: Run, as_role: AsRole) -> None:
    """Nothing is loaded when another courier could claim it before the provider has answered."""
    people(owner, 1)
    connection = as_role("reminder_courier")
    compose(connection)
    (claimed,) = claim(connection, lease=20)
    held = lease(owner, claimed)
    assert [[], [claimed]] == [load(connection, [claimed], held, seconds) for seconds in (30, 10)]


def test_account_error_stops_the_channel(owner: Connection, run: Run) -> None:
    """No attempt is counted, everything is given back, and the error is raised."""
    people(owner, 20)
    with pytest.raises(AccountError, match="SendingPausedException"):
        run(RecordingChannel(answer=refuses), workers=2)
    assert [("pending", 0)] * 20 == [(m["status"], m["attempts"]) for m in messages(owner)]


def test_account_error_of_one_channel_leaves_the_other(owner: Connection, run: Run) -> None:
    """Push goes out while the e-mail account is paused."""
    add_person(owner)
    add_device(owner)
    add_notification(owner)
    push = RecordingChannel("push")
    with pytest.raises(AccountError):
        run(RecordingChannel(answer=refuses), push)
    assert [MENTOR] == [message.recipient_id for message in push.taken]


def test_account_error_is_reported(owner: Connection, run: Run) -> None:
    """The operators are alerted through the outbox, once, however often the courier comes; each message says why."""
    people(owner, 2)
    for _ in range(2):
        with pytest.raises(AccountError):
            run(RecordingChannel(answer=refuses))
    written = owner.execute(
        "SELECT kind, payload ->> 'error_message', channel FROM cron_alerts JOIN cron_alert_deliveries ON alert_id = id"
    ).fetchall()
    assert [("message_failure", "email, ses: SendingPausedException", "sns")] == written
    reasons = owner.execute("SELECT DISTINCT last_error FROM messages").fetchall()
    assert [("ses: SendingPausedException",)] == reasons


class AppleRefuses:
    """SNS, with a platform application for Apple that is disabled until it is repaired. `taken`: the tokens."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_repaired = False

    def create_platform_endpoint(self, **request: Any) -> dict[str, str]:
        return {"EndpointArn": f"{request['PlatformApplicationArn']}/{request['Token']}"}

    def publish(self, **request: Any) -> dict[str, str]:
        _, platform, token = request["TargetArn"].split("/")
        if platform == "APNS" and not self.is_repaired:
            raise ClientError({"Error": {"Code": "PlatformApplicationDisabled", "Message": "no"}}, "Publish")
        self.taken.append(token)
        return {"MessageId": uuid4().hex}


def push_to(sns: AppleRefuses) -> PushChannel:
    return PushChannel(lambda: sns, {"fcm": "arn:app/GCM", "apns": "arn:app/APNS"}, "https://app.example.org")


def people_with(owner: Connection, *platforms: tuple[str, ...]) -> None:
    """One person for each; the token of a device has the person's number and its platform."""
    for number, devices in enumerate(platforms):
        person = add_person(owner, uuid4(), None)
        add_notification(owner, person, assignment=add_assignment_of(owner, person))
        for platform in devices:
            add_device(owner, person, platform, f"{number}-{platform}")


def test_platform_that_refuses_every_message(owner: Connection, run: Run) -> None:
    """
    Who has another platform gets the push, once. The others get it when the platform is repaired.

    No attempt is counted for those, and the operators are alerted once.
    """
    people_with(owner, ("apns",), ("fcm", "apns"), ("fcm",))
    sns = AppleRefuses()
    for _ in range(2):
        with pytest.raises(AccountError, match="sns: PlatformApplicationDisabled"):
            run(push_to(sns), per_second=5.0, group_seconds=0.2)
        assert ["1-fcm", "2-fcm"] == sorted(sns.taken)
        found = [(m["status"], m["attempts"], m["last_error"]) for m in messages(owner)]
        assert [("pending", 0, "sns: PlatformApplicationDisabled"), *[("sent", 1, None)] * 2] == sorted(found)
        owner.execute("UPDATE messages SET next_attempt_at = now() WHERE status = 'pending'")
    assert [("push, sns: PlatformApplicationDisabled",)] == owner.execute(
        "SELECT payload ->> 'error_message' FROM cron_alerts"
    ).fetchall()
    sns.is_repaired = True
    assert 1 == run(push_to(sns)).channels["push"].sent
    assert ["0-apns", "1-fcm", "2-fcm"] == sorted(sns.taken)


def test_message_that_was_given_back_waits_for_the_next_round(owner: Connection, run: Run) -> None:
    """The round goes on for the other platform: without a pause it would claim the message again and again."""
    people_with(owner, ("apns",), *[("fcm",)] * 20)
    sns = AppleRefuses()
    with pytest.raises(AccountError):
        run(push_to(sns), seconds=30, group_seconds=0.002)
    assert 20 == len(sns.taken)
    (pause,) = owner.execute(
        "SELECT extract(EPOCH FROM next_attempt_at - now()) FROM messages WHERE status = 'pending'"
    ).fetchone() or (0,)
    assert 10 < pause <= 30


def test_transient_error_is_retried_with_growing_pauses(owner: Connection, run: Run) -> None:
    """A minute, two, four, and so on; the provider's own wish counts where it is longer."""
    people(owner, 1)
    pauses = []
    for _ in range(3):
        run(RecordingChannel(answer=lambda message: Result(Status.RETRY, error="ses: TooManyRequestsException")))
        row = owner.execute("SELECT round(extract(EPOCH FROM next_attempt_at - now()))::int FROM messages").fetchone()
        assert row
        pauses.append(row[0])
        owner.execute("UPDATE messages SET next_attempt_at = now()")
    assert [60, 120, 240] == [round(pause, -1) for pause in pauses]
    run(RecordingChannel(answer=lambda message: Result(Status.RETRY, error="busy", retry_after=7200)))
    row = owner.execute("SELECT extract(EPOCH FROM next_attempt_at - now()) > 7000 FROM messages").fetchone()
    assert (True,) == row


def test_expired(owner: Connection, run: Run) -> None:
    """After 24 hours it is given up, and says why."""
    people(owner, 1)
    run(RecordingChannel(answer=lambda message: Result(Status.RETRY, error="ses: TooManyRequestsException")))
    owner.execute(
        "UPDATE messages SET send_after = now() - interval '25 hours', expires_at = now() - interval '1 hour'"
    )
    owner.execute("UPDATE messages SET next_attempt_at = now()")
    provider = RecordingChannel()
    run(provider)
    assert [] == provider.taken
    assert [("expired", "ses: TooManyRequestsException")] == [(m["status"], m["last_error"]) for m in messages(owner)]


def test_message_that_was_read_before_it_expired(owner: Connection, run: Run, as_role: AsRole) -> None:
    """It is cancelled, and does not count as one that came too late."""
    people(owner, 1)
    compose(as_role("reminder_courier"))
    owner.execute("UPDATE notifications SET read_at = now()")
    owner.execute("UPDATE messages SET expires_at = now(), send_after = now() - interval '1 day'")
    run(RecordingChannel())
    assert ["cancelled"] == statuses(owner)


def test_retry_that_would_come_too_late_expires(owner: Connection, run: Run) -> None:
    """A pause that passes the end is the end."""
    people(owner, 1)
    run(RecordingChannel(answer=lambda message: Result(Status.RETRY, error="busy", retry_after=90_000)))
    assert ["expired"] == statuses(owner)


def test_refused_address_is_used_no_more(owner: Connection, run: Run) -> None:
    """Until the person changes it."""
    add_person(owner)
    add_notification(owner)
    run(RecordingChannel(answer=lambda message: Result(Status.FAILED, error="the address is not valid", suppress=True)))
    assert ["failed"] == statuses(owner)
    add_notification(owner)
    provider = RecordingChannel()
    run(provider)
    assert ["failed"] == statuses(owner)
    add_person(owner, email="new@example.org")
    run(provider)
    assert ["failed", "pending"] == statuses(owner)


def test_address_that_cannot_be_used_does_not_stop_the_others(owner: Connection, run: Run) -> None:
    """Umlauts, line breaks, two addresses: that message has failed, and all others are sent."""
    bad = ["måns@example.org", "a@example.org\r\nBcc: b@example.org", "a@example.org, b@example.org", "a b@example.org"]
    good = ["a+b@example.org", " spaced@example.org ", "m@bücher.example"]
    taken: list[str] = []

    class Ses:
        def send_email(self, **request: Any) -> dict[str, str]:
            taken.extend(request["Destination"]["ToAddresses"])
            return {"MessageId": uuid4().hex}

    for address in [*bad, *good]:
        person = add_person(owner, uuid4(), address)
        add_notification(owner, person, assignment=add_assignment_of(owner, person))
    settings = EmailSettings("reminders@example.org", None, "https://app.example.org", None, None)
    tally = run(EmailChannel(Ses, settings)).channels["email"]
    assert (len(good), len(bad)) == (tally.sent, tally.failed)
    assert ["a+b@example.org", "m@xn--bcher-kva.example", "spaced@example.org"] == sorted(taken)
    assert [(len(bad),)] == owner.execute("SELECT count(*) FROM email_suppressions").fetchall()


def test_unexpected_error_of_a_channel_is_retried(owner: Connection, run: Run) -> None:
    """One message's surprise does not stop the others."""
    people(owner, 3)

    def fails_once(message: Message) -> Result:
        if not seen:
            seen.append(message)
            raise RuntimeError("surprise")
        return Result(Status.SENT, provider_message_id=uuid4().hex)

    seen: list[Message] = []
    tally = run(RecordingChannel(answer=fails_once)).channels["email"]
    assert (2, 1) == (tally.sent, tally.retried)
    assert ["unexpected RuntimeError"] == [m["last_error"] for m in messages(owner) if m["last_error"]]


def test_dead_device_is_disabled_and_a_registered_one_remembered(owner: Connection, run: Run) -> None:
    """What sending taught about devices is kept with the result."""
    add_person(owner)
    dead, alive = add_device(owner), add_device(owner, platform="apns")
    add_notification(owner)
    learned: list[dict[str, Any]] = [{"id": dead, "dead": True}, {"id": alive, "endpoint_arn": "arn:aws:sns:x"}]
    run(RecordingChannel("push", lambda message: Result(Status.SENT, provider_message_id="1", devices=learned)))
    found = owner.execute("SELECT id, endpoint_arn, disabled_at IS NOT NULL FROM devices ORDER BY id").fetchall()
    assert [(dead, None, True), (alive, "arn:aws:sns:x", False)] == found


def test_outside_the_hours_it_waits(owner: Connection, run: Run, as_role: AsRole) -> None:
    """A message that was late, because a courier or a provider was away, is not sent at night; a pause stays."""
    people(owner, 2)
    compose(as_role("reminder_courier"))
    _, paused = messages(owner)
    owner.execute("UPDATE messages SET next_attempt_at = now() + interval '5 hours' WHERE id = %s", [paused["id"]])
    owner.execute("UPDATE org_settings SET send_from = (now() + interval '2 hours')::time")
    owner.execute("UPDATE org_settings SET send_until = (now() + interval '3 hours')::time")
    provider = RecordingChannel()
    run(provider)
    assert [] == provider.taken
    hours = "SELECT status, round(extract(EPOCH FROM next_attempt_at - now()) / 3600)::int FROM messages ORDER BY id"
    assert [("pending", 2), ("pending", 5)] == owner.execute(hours).fetchall()


def test_rate_is_kept_by_one(owner: Connection, run: Run) -> None:
    """20 messages at 20 a second take a second."""
    people(owner, 20)
    began = time.monotonic()
    assert 20 == run(RecordingChannel(), per_second=20.0).channels["email"].sent
    assert 0.9 <= time.monotonic() - began < 20


def test_rate_is_shared_by_two(owner: Connection, run: Run) -> None:
    """Two couriers at once send no faster than one."""
    people(owner, 40)
    moments: list[float] = []

    def note(message: Message) -> Result:
        moments.append(time.monotonic())
        return Result(Status.SENT, provider_message_id=uuid4().hex)

    began = time.monotonic()
    threads = [
        threading.Thread(
            target=run, args=(RecordingChannel(answer=note),), kwargs={"per_second": 20.0, "group_seconds": 0.5}
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 40 == len(moments)
    assert 1.8 <= max(moments) - began < 20


def test_too_little_time(owner: Connection, run: Run) -> None:
    """What there is no time for stays pending, without an attempt."""
    people(owner, 50)
    run(RecordingChannel(), seconds=3.0, per_second=10.0, group_seconds=0.2)
    rest = [m for m in messages(owner) if m["status"] != "sent"]
    assert 15 < len(rest) < 50
    assert {("pending", 0)} == {(m["status"], m["attempts"]) for m in rest}
