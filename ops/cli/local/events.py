"""
Completes the sample events of infra/events, where PUT-...-HERE stands for a value that only the user knows.

The rest of each event is as AWS sends it, so that it can be pasted into the Lambda console.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from reminders.messages import unsubscribe

PLACEHOLDER = re.compile(r"PUT-[A-Z-]+-HERE")
# md5('mentor 0'), who has an address on the local stack.
PERSON = "2f4a0bc6-2813-25b0-9daf-a322dab8cacd"
ADMIN = "7d4a4d2e-aa53-4dc4-8d37-cffa4f7680c9"


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with the placeholders of `values` replaced. The values must not need an escape in JSON."""
    return PLACEHOLDER.sub(lambda found: values.get(found[0], found[0]), text)


def moments(now: datetime) -> dict[str, str]:
    """The scheduled time `now` (aware, UTC), and today's date."""
    return {"PUT-THE-SCHEDULED-TIME-HERE": f"{now:%Y-%m-%dT%H:%M:%SZ}", "PUT-TODAYS-DATE-HERE": f"{now:%Y-%m-%d}"}


def local_values(environments: Mapping[str, Mapping[str, str]], secrets: Any) -> dict[str, str]:
    """Values for the local stack; `secrets` is a client of its Secrets Manager."""

    def secret(function: str, variable: str) -> str:
        name = environments[function][variable]
        return str(secrets.get_secret_value(SecretId=name)["SecretString"])

    key, issuer = secret("admin", "SUPABASE_JWT_SECRET"), environments["admin"]["SUPABASE_JWT_ISSUER"]
    person = UUID(PERSON)
    return {
        **moments(datetime.now(UTC)),
        "PUT-A-PERSONS-ID-HERE": PERSON,
        "PUT-A-SIGNATURE-HERE": unsubscribe.sign(secret("unsubscribe", "UNSUBSCRIBE_KEY_SECRET"), person),
        "PUT-THE-SHARED-TOKEN-HERE": secret("scheduler", "SCHEDULER_TOKEN_SECRET"),
        "PUT-A-SUPABASE-ACCESS-TOKEN-HERE": _admin_token(key, issuer),
    }


def _admin_token(key: str, issuer: str) -> str:
    """An access token of an admin, as Supabase issues them, for five minutes."""
    import jwt

    now = int(time.time())
    claims = {"iss": issuer, "sub": ADMIN, "aud": "authenticated", "role": "authenticated", "iat": now}
    return jwt.encode({**claims, "exp": now + 300, "app_metadata": {"role": "admin"}}, key, algorithm="HS256")
