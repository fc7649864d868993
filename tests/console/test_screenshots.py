"""
The README's two pictures, taken of the console as it is. `SCREENSHOTS=write` replaces them; else no file is changed.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reminders.database import Connection
from tests.console.browser import chromium, sign_in
from tests.console.visitors import ASSIGNMENT, ORG, PASSWORD, Console, many
from tests.factories import add_run

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
EMAIL = "ada@example.org"
LARGEST = 120_000


@pytest.fixture
def site(console: Console, filled: Connection) -> Console:
    """A good day of a small organisation."""
    console.user({"role": "admin", "org_ids": [str(ORG)]}, EMAIL)
    now = datetime.now(UTC).replace(hour=6, minute=0, second=2)
    now -= timedelta(days=1) if now > datetime.now(UTC) else timedelta(0)
    for back in range(30):
        at = now - timedelta(days=back)
        sent = 3 + back * 5 % 8
        state = "failed" if back == 12 else "success"
        add_run(filled, state, completed_at=at, started_at=at, scheduled_for=at, reminders_dispatched=sent)
    many(filled, 5, gap=12)
    many(filled, 41, gap=3)
    filled.execute(
        """
        INSERT INTO activities (assignment_id, activity_type, recorded_date, registered_by, created_at)
        SELECT id, 'meeting', last_contact_date, peer_mentor_id, last_contact_date + time '17:20' FROM assignments
        """
    )
    return console


def shot(page: Any, name: str) -> bytes:
    """Take the picture; write it where that was asked for."""
    picture: bytes = page.screenshot(full_page=False)
    if os.environ.get("SCREENSHOTS") == "write":
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / name).write_bytes(picture)
    return picture


@pytest.mark.matrix
def test_pictures_of_the_readme(site: Console) -> None:
    """Both pages can be shown, on a desk in the light and a phone in the dark; both pictures are there, and small."""
    with chromium() as browser:
        desk = browser.new_page(viewport={"width": 1000, "height": 760}, color_scheme="light")
        sign_in(desk, site.url, EMAIL, PASSWORD)
        desk.wait_for_selector(".verdict.good")
        pictures = {"overview.png": shot(desk, "overview.png")}
        phone = browser.new_page(viewport={"width": 390, "height": 1180}, color_scheme="dark")
        sign_in(phone, site.url, EMAIL, PASSWORD)
        phone.goto(f"{site.url}/console/assignments/{ASSIGNMENT}")
        phone.wait_for_selector(".timeline")
        pictures["assignment.png"] = shot(phone, "assignment.png")
    for name, picture in pictures.items():
        kept = (IMAGES / name).read_bytes()
        assert (True, True) == (len(kept) < LARGEST, len(picture) < LARGEST), name
        # The size of a PNG stands in its header: another one would be of another page.
        assert kept[16:24] == picture[16:24], name
