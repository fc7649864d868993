"""`make audit` says which of three things is the case, and never passes because it could not look."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.tools import audit
from tests.helpers.cases import table

Service = Callable[[str], None]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Two packages, one of them for another platform only."""
    file = tmp_path / "some.lock"
    file.write_text("httpx==0.28.1 \\\n    --hash=sha256:00\ncolorama==0.4.6 ; sys_platform == 'win32' \\\n")
    return file


@pytest.fixture
def pip_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A pip-audit that prints what the test says."""
    program = tmp_path / "pip-audit"

    def prints(script: str) -> None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        os.chmod(program, 0o755)

    monkeypatch.setattr(audit, "_pip_audit", lambda: program)
    return prints


def report(*dependencies: dict[str, Any]) -> str:
    return f"echo '{json.dumps({'dependencies': dependencies, 'fixes': []})}'"


HTTPX = {"name": "httpx", "version": "0.28.1", "vulns": []}
COLORAMA = {"name": "colorama", "version": "0.4.6", "vulns": []}


def test_no_advisory(lock: Path, pip_audit: Service) -> None:
    """0, when every version was answered for."""
    pip_audit(report(HTTPX, COLORAMA))
    assert audit.CLEAN == audit.main([lock])


def test_an_advisory(lock: Path, pip_audit: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """1, with the package, the advisory and the version that mends it."""
    found = {"id": "PYSEC-2026-1", "fix_versions": ["0.28.2"], "aliases": [], "description": ""}
    pip_audit(report({**HTTPX, "vulns": [found]}, COLORAMA) + "; exit 1")
    assert audit.FOUND == audit.main([lock])
    assert "httpx 0.28.1: PYSEC-2026-1, fixed in 0.28.2" in capsys.readouterr().out


@table(
    "script",
    [
        "echo 'Traceback ...' >&2; echo 'ConnectionError: no network' >&2; exit 1",
        "exit 0",
        "echo '{}'",
        report(HTTPX),
        report(HTTPX, {"name": "colorama", "skip_reason": "Dependency not found on PyPI"}),
    ],
    ids=["network away", "silent", "empty", "package left out", "package unknown"],
)
def test_could_not_look(script: str, lock: Path, pip_audit: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """3, whatever pip-audit's exit status is, and a sentence that says that nothing is known."""
    pip_audit(script)
    assert audit.COULD_NOT_LOOK == audit.main([lock])
    assert "could not run" in capsys.readouterr().err


def test_two_versions_of_one_package_are_both_asked_about(
    tmp_path: Path, pip_audit: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAM CLI's environment has versions of its own."""
    (tmp_path / "a.lock").write_text("click==8.1.0\n")
    (tmp_path / "b.lock").write_text("click==8.2.0\n")
    asked: list[list[str]] = []

    def answer(group: list[str]) -> list[dict[str, Any]]:
        asked.append(list(group))
        return [{"name": "click", "version": pin.partition("==")[2], "vulns": []} for pin in group]

    monkeypatch.setattr(audit, "_query_pip_audit", answer)
    assert audit.CLEAN == audit.main(sorted(tmp_path.glob("*.lock")))
    assert [["click==8.1.0"], ["click==8.2.0"]] == asked


def test_every_lock_is_audited() -> None:
    """What Lambda runs, what people run, and the tools in environments of their own."""
    names = {path.name for path in audit.AUDITED}
    assert {"requirements.lock", "requirements-dev.lock", "admin.lock", "sam.lock", "audit.lock"} <= names
