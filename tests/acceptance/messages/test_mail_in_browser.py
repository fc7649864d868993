"""The mail and the unsubscribe page in Chromium: on a phone and a desk, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reminders.messages.templates import languages, layout, page, words
from tests.console.browser import AXE, chromium, npm_package, violations
from tests.helpers.cases import table
from tests.nasty_names import NASTY_NAMES
from tests.unit.messages.examples import message

# Sum of the contrasts' two parts: WCAG 2.2, "relative luminance" and "contrast ratio"; of every element with text.
LOW_CONTRAST = """
() => {
    const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = rgb => { const [r, g, b] = rgb.match(/[\\d.]+/g).map(Number).map(part);
        return .2126 * r + .7152 * g + .0722 * b };
    const behind = e => { const c = getComputedStyle(e).backgroundColor;
        return c !== 'rgba(0, 0, 0, 0)' ? c : e.parentElement ? behind(e.parentElement) : 'rgb(255, 255, 255)' };
    const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    return [...document.body.querySelectorAll('*')].filter(own).map(e => {
        const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
        return [e.tagName, (a + .05) / (b + .05)];
    }).filter(([, ratio]) => ratio < 4.5);
}
"""
NAMES = [*NASTY_NAMES, "Foreningen for frivillighetsarbeidsformidlingstjenester", "Friends"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def pages(locale: str) -> Iterator[str]:
    """Mails with every kind of name, and the three states of the page."""
    for name in NAMES:
        found = words(message(locale=locale, organisation=name, reminders=99, escalations=2, escalation_gap=30))
        yield layout("mail.html", found, app_url="https://app.example.org", unsubscribe_url="https://u.example.org/x")
    for state in ("ask", "done", "invalid"):
        yield page(locale, state).html


@table("scheme", ["light", "dark"])
@table("width", [360, 800])
def test_readable(browser: Any, scheme: str, width: int) -> None:
    """Nothing is wider than the screen, every text has a contrast of 4.5 or more, and no name runs a script."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 740})
    shown = context.new_page()
    scripts: list[str] = []
    shown.add_init_script("window.alert = text => console.log(text)")
    shown.on("console", lambda said: scripts.append(said.text))
    for locale in sorted(languages()):
        for html in pages(locale):
            shown.set_content(html)
            assert shown.evaluate("document.documentElement.scrollWidth") <= width, html[:2000]
            assert [] == shown.evaluate(LOW_CONTRAST)
            assert shown.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    context.close()
    assert [] == scripts


@pytest.mark.matrix
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(browser: Any, scheme: str, tmp_path: Path) -> None:
    """axe-core finds nothing against WCAG 2.2 A and AA."""
    axe = npm_package(tmp_path, AXE)
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 740})
    shown = context.new_page()
    for html in pages("nb"):
        shown.set_content(html)
        assert [] == violations(shown, axe)
    context.close()
