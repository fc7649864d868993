"""The admin endpoint against its own OpenAPI document: generated requests, as it allows them and as it does not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from handlers import admin
from reminders.database import Connection
from tests.contacts import add_pair
from tests.helpers.admin_endpoint import AdminEndpoint

API = schemathesis.openapi.from_dict(json.loads(admin.app.get_openapi_json_schema()))
CORRECTION = "/assignments/{assignment_id}/last-contact-date"
# Derandomized: a suite must not fail by luck. To hunt for more, raise the number and let chance in.
pytestmark = pytest.mark.matrix
BOUNDED = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def cases(path: str, method: str) -> st.SearchStrategy[Case[Any]]:
    """Requests of both kinds: as the document describes them, and not."""
    operation = API[path][method]
    return st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))


def call(case: Case[Any], endpoint: AdminEndpoint, excluded_checks: Sequence[Any] = (), **headers: str) -> Any:
    """Send it, and check the answer: no 5xx, and status, content type and body as the document promises."""
    return case.call_and_validate(
        base_url=endpoint.url,
        headers={"Authorization": f"Bearer {endpoint.token()}", **headers},
        excluded_checks=list(excluded_checks),
        timeout=10,
    )


def test_run_history(endpoint: AdminEndpoint, owner: Connection) -> None:
    """GET /runs keeps its promises, whatever the parameters."""
    seen: Counter[int] = Counter()

    @BOUNDED
    @given(case=cases("/runs", "GET"))
    def ask(case: Case[Any]) -> None:
        seen[call(case, endpoint).status_code] += 1

    ask()
    print(dict(seen))
    assert {200, 422} <= set(seen)


def test_correction(endpoint: AdminEndpoint, owner: Connection) -> None:
    """So does PATCH, of assignments that exist and of others, with versions that are right, wrong or missing."""
    pair = str(add_pair(owner, began=700_000))
    seen: Counter[int] = Counter()

    @BOUNDED
    @given(
        case=cases(CORRECTION, "PATCH"),
        exists=st.booleans(),
        version=st.sampled_from(["*", '"never"', "x"]),
    )
    def ask(case: Case[Any], exists: bool, version: str) -> None:
        if exists:
            case.path_parameters["assignment_id"] = pair
        # A body can be as described and its date still be refused: in the future, or not the admin's to replace.
        answer = call(case, endpoint, [positive_data_acceptance], **{"If-Match": version})
        seen[answer.status_code] += 1

    ask()
    print(dict(seen))
    assert {200, 404, 412, 422} <= set(seen)
