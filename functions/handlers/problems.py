"""Errors over HTTP, as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

CONTENT_TYPE = "application/problem+json"


def problem(
    status: HTTPStatus, detail: str | None = None, headers: dict[str, str] | None = None, **more: Any
) -> Response[str]:
    """
    A response with `status`, its standard phrase as the title and `detail` for the caller.

    `detail` must be safe to show. `more` are extension members.
    """
    document = {"type": "about:blank", "title": status.phrase, "status": int(status), **more}
    if detail:
        document["detail"] = detail
    return Response(
        status_code=int(status),
        content_type=CONTENT_TYPE,
        body=json.dumps(document),
        headers=dict(headers or {}),
    )
