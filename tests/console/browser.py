"""What the browser tests need: Chromium with Playwright, and two packages of npm. Each test says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

AXE = "axe-core@4.14.1"
HTML_VALIDATE = "html-validate@9.7.1"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@contextmanager
def chromium() -> Iterator[Any]:
    """Debian's browser, driven by Playwright."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("Chromium is not installed (Debian: apt install chromium), so no page is tried in a browser")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as running:
        # root has no sandbox of its own; the pages are ours.
        browser = running.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


def npm_package(folder: Path, package: str) -> Path:
    """The folder of an npm package, installed below `folder`."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip(f"node and npm are not installed, so {package} is not run")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", package]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {package}, so it is not run: {done.stderr[-300:]}")
    return folder / "node_modules" / package.partition("@")[0]


def sign_in(page: Any, url: str, email: str, password: str) -> None:
    page.goto(f"{url}/console")
    page.fill("#email", email)
    page.fill("#password", password)
    page.click("button[value=password]")


def violations(page: Any, axe: Path) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA: the rule, and where."""
    # By the debugging protocol: the page's own policy forbids scripts.
    page.evaluate((axe / "axe.min.js").read_text())
    found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", WCAG)
    return [f"{each['id']}: {node['html'][:120]}" for each in found["violations"] for node in each["nodes"]]
