"""GET /runs: pages of the ledger, newest first."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from reminders.database import Connection
from tests.helpers.admin_endpoint import AdminEndpoint, problem
from tests.helpers.cases import table


@pytest.fixture
def ledger(owner: Connection) -> list[str]:
    """25 runs, newest first; every fifth failed, two began in the same microsecond."""
    rows = owner.execute(
        """
        INSERT INTO cron_execution_logs (job_name, trigger_source, started_at, completed_at, status, error_message)
        SELECT 'assignment-reminder-cron', 'schedule', day, day,
            CASE WHEN n % 5 = 0 THEN 'failed' ELSE 'success' END, CASE WHEN n % 5 = 0 THEN 'it broke' END
        FROM generate_series(0, 24) AS n
        CROSS JOIN LATERAL (VALUES (timestamptz '2026-01-01' + n / 2 * interval '1 day')) AS t (day)
        RETURNING id, started_at
        """
    ).fetchall()
    return [str(found) for found, _ in sorted(rows, key=lambda row: (row[1], row[0]), reverse=True)]


def pages(endpoint: AdminEndpoint, **query: Any) -> list[list[str]]:
    found, before = [], None
    while True:
        parameters = query | ({"before": before} if before else {})
        page = endpoint.request("GET", "/runs", params=parameters).json()
        found.append([run["id"] for run in page["runs"]])
        before = page["next_before"]
        if before is None:
            return found


def test_newest_twenty(endpoint: AdminEndpoint, ledger: list[str]) -> None:
    """Without parameters: the newest 20, and where to go on."""
    assert pages(endpoint) == [ledger[:20], ledger[20:]]


def test_pages_leave_nothing_out(endpoint: AdminEndpoint, ledger: list[str]) -> None:
    """Page by page the whole ledger, nothing twice, though several runs began in the same moment."""
    found = pages(endpoint, limit=5)
    assert [run for page in found for run in page] == ledger
    assert [len(page) for page in found] == [5] * 5


def test_only_failed_runs(endpoint: AdminEndpoint, ledger: list[str]) -> None:
    """By status, paged in the same way."""
    found = pages(endpoint, limit=2, status="failed")
    assert [len(page) for page in found] == [2, 2, 1]


def test_what_a_run_says(endpoint: AdminEndpoint, ledger: list[str]) -> None:
    """All that the ledger knows of it."""
    run = endpoint.request("GET", "/runs", params={"limit": 1, "status": "failed"}).json()["runs"][0]
    assert (run["status"], run["error_message"], run["trigger_source"]) == ("failed", "it broke", "schedule")
    assert {"duration_ms", "assignments_evaluated", "consecutive_failure_count", "scheduled_for"} <= set(run)


def test_page_before_a_run_that_is_gone(endpoint: AdminEndpoint, ledger: list[str]) -> None:
    """It was pruned, and everything older with it."""
    assert pages(endpoint, before=str(uuid4())) == [[]]


@table(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=1.5",
        "limit=%D9%A1",
        "limit=1_0",
        "limit=",
        "status=broken",
        "before=1",
        "before=",
        "sttaus=failed",
    ],
)
def test_parameter_that_is_wrong(endpoint: AdminEndpoint, query: str) -> None:
    """It is named in the answer."""
    status, document = problem(endpoint.request("GET", f"/runs?{query}"))
    assert (status, document["errors"][0]["field"]) == (422, f"query.{query.partition('=')[0]}")
