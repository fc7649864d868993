"""Two organisations, and the people who use the REST API, by their claims."""

from __future__ import annotations

from typing import Any
from uuid import UUID

ORG = {"a": UUID(int=0xA), "b": UUID(int=0xB)}
ASSIGNMENT = {"a": UUID(int=0xA1), "b": UUID(int=0xB1)}
MENTOR = {"a": UUID(int=0xA2), "b": UUID(int=0xB2)}
COORDINATOR = {"a": UUID(int=0xA3), "b": UUID(int=0xB3)}
UNRELATED_USER = UUID(int=0xC)


def claims(user: UUID = UNRELATED_USER, **app_metadata: Any) -> dict[str, Any]:
    return {"sub": str(user), "role": "authenticated", "app_metadata": app_metadata}
