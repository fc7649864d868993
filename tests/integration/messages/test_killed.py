"""Couriers as real processes that are killed: nothing is lost, and at most one message a worker is sent twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest

from ops.local.server import Server
from reminders.database import Connection
from tests.factories import add_assignment
from tests.messages import add_notification, add_person, always_open, messages

WORKERS = 4
PEOPLE = 40
COURIER = """
import os, sys, time
from contextlib import closing
from reminders import database
from reminders.messages.courier import run
from reminders.messages.delivery import CourierDeps, CourierLimits
from reminders.messages.message import Result, Status

dsn, file, step, after = sys.argv[1:]

class Provider:
    name = "email"
    taken = 0

    def send(self, message, *, test=False):
        if step == "before" and Provider.taken >= int(after):
            os.kill(os.getpid(), 9)
        with open(file, "a") as taken:
            taken.write(f"{message.message_id}\\n")
        Provider.taken += 1
        if step == "after" and Provider.taken >= int(after):
            os.kill(os.getpid(), 9)
        return Result(Status.SENT, provider_message_id=f"{os.getpid()}-{message.message_id}-{Provider.taken}")

ends = time.monotonic() + 30
limits = CourierLimits(per_second=200, workers=4, reserve_seconds=1)
connect = lambda: closing(database.connect(dsn, name="courier"))
left = lambda: ends - time.monotonic()
run(CourierDeps(connect, [Provider()], limits, left, time.monotonic, time.sleep))
"""


def notify(owner: Connection) -> None:
    """As many mentors as PEOPLE, each with an address and a reminder."""
    always_open(owner)
    for number in range(PEOPLE):
        person = add_person(owner, uuid4(), f"mentor{number}@example.org")
        assignment = add_assignment(owner)
        owner.execute("UPDATE assignments SET peer_mentor_id = %s WHERE id = %s", [person, assignment])
        add_notification(owner, person, assignment=assignment)


@pytest.mark.parametrize("step", ["before", "after"])
def test_courier_that_is_killed(owner: Connection, server: Server, database: str, tmp_path: Path, step: str) -> None:
    """Before or after the provider took a message: the next courier sends the rest, and repeats what was in flight."""
    notify(owner)
    file = tmp_path / "taken"
    command = [sys.executable, "-c", COURIER, server.dsn("reminder_courier", database), str(file)]
    killed = subprocess.run([*command, step, "10"], check=False)
    owner.execute("UPDATE messages SET lease_until = now() WHERE lease_until IS NOT NULL")
    subprocess.run([*command, "never", "0"], check=True)

    taken = Counter(file.read_text().split())
    assert (-9, PEOPLE, ["sent"] * PEOPLE) == (killed.returncode, len(taken), [m["status"] for m in messages(owner)])
    assert sum(taken.values()) - PEOPLE <= WORKERS
