"""The console in a real browser: a whole visit by keyboard, accessibility by axe-core, no page wider than a phone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from handlers.console import ROUTES
from reminders.database import Connection
from tests.console.browser import AXE, HTML_VALIDATE, chromium, npm_package, sign_in, violations
from tests.console.visitors import ASSIGNMENT, COORDINATOR, MENTOR, ORG, PASSWORD, Console, message
from tests.factories import add_run
from tests.helpers.cases import first

PAGES = (
    "/console",
    "/console/needs-contact",
    "/console/needs-contact?threshold=no_coordinator",
    "/console/needs-contact/not-reached",
    f"/console/assignments/{ASSIGNMENT}",
    "/console/runs",
    "/console/settings",
    "/console/nothing",
)
EMAIL = "ada@example.org"
PHONE, DESK = 360, 1280


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_package(tmp_path_factory.mktemp("axe"), AXE)


@pytest.fixture
def site(console: Console, filled: Connection) -> Console:
    """With an admin, 30 days of runs of which one failed, and a mentor who cannot be reached."""
    message(filled, COORDINATOR, "delivered")
    message(filled, MENTOR, "failed", error="bounce")
    console.user({"role": "admin", "org_ids": [str(ORG)]}, EMAIL)
    now = datetime.now(UTC)
    for back in range(30):
        at = now - timedelta(days=back)
        state = "failed" if back == 9 else "success"
        add_run(filled, state, completed_at=at, started_at=at, scheduled_for=at, reminders_dispatched=back % 7)
    return console


def test_a_visit_by_keyboard_on_a_phone(browser: Any, site: Console, filled: Connection) -> None:
    """Sign in, find who waits long, correct the date, change a threshold, take the CSV, sign out; without a mouse."""
    context = browser.new_context(viewport={"width": PHONE, "height": 740}, accept_downloads=True)
    page = context.new_page()
    page.goto(f"{site.url}/console")
    _type(page, "#email", EMAIL)
    _type(page, "#password", PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")

    _follow(page, "assignment needs contact")
    _follow(page, "Mia Mentor")
    assert "No contact for 30 days." in page.inner_text("h1")
    day = datetime.now(UTC).date() - timedelta(days=1)
    _reach(page, "#date")
    page.keyboard.type(f"{day:%m%d%Y}")
    _type(page, "#reason", "Met on the bus")
    _press(page, "Save the date")
    page.wait_for_selector("text=Last contact 1 day ago. All is well.")
    timeline = page.inner_text(".timeline")
    assert "Date of the last contact corrected" in timeline and "resolved, not read yet" in timeline

    _follow(page, "Settings")
    _reach(page, "input[name=reminder_days]")
    page.keyboard.press("Control+A")
    page.keyboard.type("1")
    _type(page, "#time_zone", "")
    page.keyboard.press("Control+A")
    page.keyboard.type("Europe/Oslo")
    _press(page, "Save")
    page.wait_for_selector("text=The thresholds apply from the next run")

    _follow(page, "Needs contact")
    with page.expect_download() as download:
        _press_on(page, "A", "Download as CSV")
    assert str(ASSIGNMENT) in Path(download.value.path()).read_text()
    _press(page, "Sign out")
    page.wait_for_selector("text=You are signed out.")
    context.close()


def _reach(page: Any, selector: str) -> None:
    """Press Tab until the element has the focus, as a person without a mouse does."""
    for _ in range(80):
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by Tab")


def _type(page: Any, selector: str, text: str) -> None:
    _reach(page, selector)
    page.keyboard.type(text)


def _press_on(page: Any, tag: str, text: str) -> None:
    for _ in range(80):
        if page.evaluate(
            "([tag, text]) => (e => e.tagName === tag && e.innerText.includes(text))(document.activeElement)",
            [tag, text],
        ):
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{text} cannot be reached by Tab")


def _follow(page: Any, text: str) -> None:
    with page.expect_navigation():
        _press_on(page, "A", text)


def _press(page: Any, text: str) -> None:
    with page.expect_navigation():
        _press_on(page, "BUTTON", text)


# The first two stand for the others: each width and each scheme once.
LOOKS = [
    (PHONE, 1, "dark"),
    (DESK, 1, "light"),
    (PHONE, 1, "light"),
    (DESK, 1, "dark"),
    (DESK, 2, "light"),
    (DESK, 2, "dark"),
]


@pytest.mark.parametrize(("width", "zoom", "scheme"), first(1, LOOKS))
def test_accessibility(browser: Any, site: Console, axe: Path, scheme: str, width: int, zoom: int) -> None:
    """axe-core finds nothing against WCAG 2.2 A and AA, on any page, and no page scrolls sideways."""
    # Zooming to 200 % halves the width that a page has (WCAG 2.2, 1.4.4 and 1.4.10).
    viewport = {"width": width // zoom, "height": 800}
    context = browser.new_context(color_scheme=scheme, viewport=viewport, device_scale_factor=zoom)
    page = context.new_page()
    found = {}
    page.goto(f"{site.url}/console")
    found["sign in"] = violations(page, axe)
    page.click("button[value=password]")
    found["sign in, with errors"] = violations(page, axe)
    sign_in(page, site.url, EMAIL, PASSWORD)
    for path in PAGES:
        page.goto(f"{site.url}{path}")
        found[path] = violations(page, axe)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
    page.goto(f"{site.url}/console/runs?status=failed")
    page.click("tbody a")
    found["run"] = violations(page, axe)
    page.goto(f"{site.url}/console/assignments/{ASSIGNMENT}")
    page.fill("#reason", "")
    page.click("text=Save the date")
    found["assignment, with errors"] = violations(page, axe)
    page.goto(f"{site.url}/console/settings")
    page.fill("#time_zone", "Oslo")
    page.click("main button[type=submit]")
    assert "Did you mean Europe/Oslo?" in page.inner_text("main")
    found["settings, with errors"] = violations(page, axe)
    context.close()
    assert {} == {where: each for where, each in found.items() if each}


def test_each_page_is_looked_at() -> None:
    """A new page must be added above."""
    pages = {r.path for r in ROUTES if r.method == "GET" and "<" not in r.path and not (r.is_public or r.before_factor)}
    assert pages - {"/console/needs-contact.csv"} <= set(PAGES)


def test_printed_page(browser: Any, site: Console) -> None:
    """What there is to read is printed on the width of a sheet, dark on white; what there is to press is not."""
    context = browser.new_context(color_scheme="dark", viewport={"width": 720, "height": 900})
    page = context.new_page()
    sign_in(page, site.url, EMAIL, PASSWORD)
    page.emulate_media(media="print")
    for path in PAGES[:-1]:
        page.goto(f"{site.url}{path}")
        assert page.is_visible("h1"), path
        assert not any(each.is_visible() for each in page.query_selector_all("nav, button, .skip")), path
        assert page.evaluate("document.documentElement.scrollWidth") <= 720, path
        assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()


def test_html_is_valid(site: Console, tmp_path: Path) -> None:
    """html-validate finds nothing in any page."""
    package = npm_package(tmp_path, HTML_VALIDATE)
    visitor = site.visitor()
    pages = {"sign-in": visitor.get("/console/sign-in").text}
    pages["sign-in-with-errors"] = visitor.post("/console/sign-in", by="password").text
    pages["code"] = visitor.post("/console/sign-in", email=EMAIL, by="code").text
    visitor.sign_in(EMAIL)
    pages["assignment-with-errors"] = visitor.post(f"/console/assignments/{ASSIGNMENT}/contact-date").text
    pages["settings-with-errors"] = visitor.post(f"/console/settings/{ORG}").text
    for number, path in enumerate(PAGES):
        pages[f"page-{number}"] = visitor.get(path).text
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text)
    # "standard" is what the HTML standard says; the other sets are matters of taste.
    (tmp_path / ".htmlvalidate.json").write_text(json.dumps({"root": True, "extends": ["html-validate:standard"]}))
    command = [
        "node",
        str(package / "bin" / "html-validate.mjs"),
        "--formatter",
        "text",
        *map(str, tmp_path.glob("*.html")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, cwd=tmp_path)
    assert "" == done.stdout.replace(str(tmp_path), "") + done.stderr


def test_no_script_runs_and_nothing_is_fetched_from_elsewhere(browser: Any, site: Console) -> None:
    """A page asks this server for its style and icon, and no other server for anything; the policy refuses nothing."""
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    sign_in(page, site.url, EMAIL, PASSWORD)
    for path in PAGES[:-1]:
        page.goto(f"{site.url}{path}")
    page.close()
    assert [] == [url for url in asked if not url.startswith(site.url)]
    assert [] == said
