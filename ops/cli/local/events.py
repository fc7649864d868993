"""
The sample events of infra/events, completed: PUT-...-HERE stands for a value that only the user knows.

The rest of each event is as AWS sends it, so that it can be pasted into the Lambda console.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

PLACEHOLDER = re.compile(r"PUT-[A-Z-]+-HERE")
ADMIN = "7d4a4d2e-aa53-4dc4-8d37-cffa4f7680c9"


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with each placeholder replaced that `values` has; none of them may need an escape in JSON."""
    return PLACEHOLDER.sub(lambda found: values.get(found[0], found[0]), text)


def moments(now: datetime) -> dict[str, str]:
    """A schedule that fires `now` (aware, UTC), and today's date."""
    return {"PUT-THE-SCHEDULED-TIME-HERE": f"{now:%Y-%m-%dT%H:%M:%SZ}", "PUT-TODAYS-DATE-HERE": f"{now:%Y-%m-%d}"}


def local_values(environments: Mapping[str, Mapping[str, str]], secrets: Any) -> dict[str, str]:
    """Values for the local stack; `secrets` is a client of its Secrets Manager."""

    def secret(function: str, variable: str) -> str:
        name = environments[function][variable]
        return str(secrets.get_secret_value(SecretId=name)["SecretString"])

    key, issuer = secret("admin", "SUPABASE_JWT_SECRET"), environments["admin"]["SUPABASE_JWT_ISSUER"]
    return {
        **moments(datetime.now(UTC)),
        "PUT-THE-SHARED-TOKEN-HERE": secret("scheduler", "SCHEDULER_TOKEN_SECRET"),
        "PUT-A-SUPABASE-ACCESS-TOKEN-HERE": _admin_token(key, issuer),
    }


def _admin_token(key: str, issuer: str) -> str:
    """An access token of an admin, as Supabase issues them, for five minutes."""
    import jwt

    now = int(time.time())
    claims = {"iss": issuer, "sub": ADMIN, "aud": "authenticated", "role": "authenticated", "iat": now}
    return jwt.encode({**claims, "exp": now + 300, "app_metadata": {"role": "admin"}}, key, algorithm="HS256")
