"""Read boto3's errors by their code, because their text may quote the request. Without importing boto3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def error_code(error: BaseException) -> str:
    """AWS' code of the error ("ThrottlingException"), else the name of its class ("ReadTimeoutError")."""
    return str(_part(error, "Error").get("Code") or type(error).__name__)


def error_text(error: BaseException) -> str:
    """AWS' message; not to be logged. Empty where AWS did not answer."""
    return str(_part(error, "Error").get("Message") or "")


def _part(error: BaseException, name: str) -> Mapping[str, Any]:
    # A client error of botocore has a response; an error of the connection has None, other errors have no attribute.
    response = getattr(error, "response", None)
    part = response.get(name) if isinstance(response, Mapping) else None
    return part if isinstance(part, Mapping) else {}
