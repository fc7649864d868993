"""Errors over HTTP, as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Sequence
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


def validation_errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Pydantic's errors without the input: a response must not repeat the caller's input. At most 20."""
    return [{"field": _field(e["loc"]), "message": str(e["msg"])[:200]} for e in errors[:20]]


def _field(location: Sequence[object]) -> str:
    # Names of unknown keys come from the caller, too.
    return ".".join(str(part)[:40] for part in location)
