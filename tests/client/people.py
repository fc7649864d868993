"""Two organisations, and the people of docs/client.md with their claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.client.statements import Request
from tests.tokens import ADMIN, claims, signed

KEY = "sb_publishable_for_tests"
ORG, OTHER_ORG = UUID(int=0xA), UUID(int=0xB)
ASSIGNMENT, UNCOORDINATED, FOREIGN = UUID(int=0xA1), UUID(int=0xA4), UUID(int=0xB1)
MENTOR, COORDINATOR = UUID(int=0xA2), UUID(int=0xA3)
ADMIN_APP = {"role": "admin", "org_ids": [str(ORG)]}
PEOPLE: dict[str, dict[str, Any]] = {
    "mentor": claims(MENTOR, app={}),
    "coordinator": claims(COORDINATOR, app={}),
    "unrelated user": claims(UUID(int=0xC), app={}),
    "admin": claims(ADMIN, app=ADMIN_APP),
    "admin of all": claims(ADMIN),
    "admin of another": claims(ADMIN, app={"role": "admin", "org_ids": [str(OTHER_ORG)]}),
}


@dataclass(frozen=True, slots=True)
class Api:
    """Supabase's API as a client sees it, and what came in."""

    url: str
    requests: list[Request]

    def headers(self, persona: str | None) -> dict[str, str]:
        """`persona`: one of PEOPLE; None: no access token."""
        token = signed(PEOPLE[persona]) if persona else KEY
        return {"apikey": KEY, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
