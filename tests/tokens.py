"""Supabase access tokens for tests: by the shared secret, by keys of a JWKS, and by an attacker."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SECRET = "a shared secret that is long enough to be one"
ISSUER = "https://project.example/auth/v1"
ADMIN = UUID(int=0xAD)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


def claims(
    user: UUID = ADMIN, *, issuer: str = ISSUER, app: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Of a signed-in admin, as Supabase issues them; `more` replaces, and None takes away."""
    now = int(time.time())
    found = {
        "iss": issuer,
        "sub": str(user),
        "aud": "authenticated",
        "role": "authenticated",
        "iat": now,
        "exp": now + 3600,
        "app_metadata": {"provider": "email", "role": "admin"} if app is None else app,
        "user_metadata": {},
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


def signed(payload: dict[str, Any], key: Any = SECRET, algorithm: str = "HS256", **header: Any) -> str:
    return jwt.encode(payload, key, algorithm=algorithm, headers=header or None)


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    """A key set; without `keys` that of EC_KEY ("ec") and RSA_KEY ("rsa")."""
    return {"keys": list(keys) or [ec_jwk(), rsa_jwk()]}


def ec_jwk(kid: str = "ec", **more: Any) -> dict[str, Any]:
    return {**json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())), "kid": kid, "alg": "ES256", "use": "sig", **more}


def rsa_jwk(kid: str = "rsa", **more: Any) -> dict[str, Any]:
    return {**json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())), "kid": kid, "alg": "RS256", "use": "sig", **more}
