"""
Who is calling: a Supabase access token, checked.

    alg HS256         the project's JWT secret
    alg ES256, RS256  the key with the token's `kid` in the project's JWKS
    anything else     refused

A key serves the algorithms of its own source only. So a token signed by HMAC with the public key as its
secret finds no key (algorithm confusion), and neither does `none`. What is checked: signature, `exp`, `nbf`,
`iss`, `aud`, and that `sub` is a user's id (Supabase docs: "JSON Web Token (JWT)"). The reason for a refusal
is logged, and not returned.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx
import jwt

from reminders.errors import IdentityError, IdentityUnavailable
from reminders.telemetry import logger

AUDIENCE = "authenticated"
# Seconds that our clock and Supabase's may differ by.
LEEWAY_SECONDS = 10
# Supabase's own have around 1,000 characters. A long list of organisations makes them longer.
LONGEST_TOKEN = 8_192
# RFC 7518, section 3.2: an HMAC key is at least as long as the hash.
SHORTEST_SECRET = 32

JWKS_CACHE_SECONDS = 600
# Rate limit: tokens with invented key ids must not trigger a fetch each.
JWKS_PAUSE_SECONDS = 30
JWKS_TIMEOUT_SECONDS = 3.0
_ALGORITHM_OF: dict[object, str] = {"EC": "ES256", "RSA": "RS256"}


@dataclass(frozen=True, slots=True)
class Caller:
    """
    A user with a valid token. `has_second_factor`: this session was confirmed by one (Supabase docs: `aal` is `aal2`).

    `org_ids`: the organisations that `app_metadata.org_ids` limits an admin to, None where there is no limit.
    """

    user_id: UUID
    is_admin: bool
    has_second_factor: bool
    org_ids: frozenset[UUID] | None
    claims: Mapping[str, Any]

    @classmethod
    def of(cls, claims: Mapping[str, Any]) -> Caller:
        """The caller of verified `claims`; raise `IdentityError` when they do not belong to a signed-in user."""
        # Only a user's own token: the service's and an anonymous visitor's are refused whatever app_metadata says.
        if claims.get("role") != "authenticated" or claims.get("is_anonymous", False) is not False:
            raise IdentityError("the token is not a signed-in user's")
        app = claims.get("app_metadata")
        app = app if isinstance(app, dict) else {}
        user_id = _uuid(claims.get("sub"))
        if user_id is None:
            raise IdentityError("sub is not a user's id")
        return cls(user_id, app.get("role") == "admin", claims.get("aal") == "aal2", _organisations(app), claims)

    def database_settings(self) -> dict[str, str]:
        """What makes a transaction this caller's, as PostgREST does it: the role, and the claims for RLS."""
        return {"role": "authenticated", "request.jwt.claims": json.dumps(dict(self.claims))}


def _organisations(app: Mapping[str, Any]) -> frozenset[UUID] | None:
    """A claim without a valid id gives access to no organisation: a mistake there must not give access to all."""
    if "org_ids" not in app:
        return None
    named = app["org_ids"] if isinstance(app["org_ids"], list) else []
    return frozenset(found for found in map(_uuid, named) if found)


def _uuid(value: object) -> UUID | None:
    """Only as PostgreSQL writes it: the row policies compare text."""
    try:
        return UUID(value) if isinstance(value, str) and str(UUID(value)) == value else None
    except ValueError:
        return None


class KeySource(Protocol):
    """Keys for some algorithms."""

    @property
    def algorithms(self) -> Sequence[str]: ...

    def keys(self, header: Mapping[str, Any]) -> Iterator[Any]:
        """The keys to try for a token with `header`, one after the other, until one fits."""
        ...


class SharedSecret:
    """The project's HS256 secret. `newer` is asked when a signature does not fit: it may have been rotated."""

    algorithms = ("HS256",)

    def __init__(self, current: Callable[[], str], newer: Callable[[str], str | None]) -> None:
        self._current = current
        self._newer = newer

    def keys(self, header: Mapping[str, Any]) -> Iterator[str]:
        """Raise `IdentityUnavailable` for a secret that is too short to protect anything."""
        current = self._current()
        yield _long_enough(current)
        rotated = self._newer(current)
        if rotated is not None:
            yield _long_enough(rotated)


def _long_enough(secret: str) -> str:
    if len(secret.encode()) < SHORTEST_SECRET:
        raise IdentityUnavailable(f"the JWT secret is shorter than {SHORTEST_SECRET} bytes")
    return secret


class KeySet:
    """
    The project's JWKS (RFC 7517), kept for ten minutes.

    An unknown `kid` causes another fetch, because keys are rotated, but at most one in `JWKS_PAUSE_SECONDS`.
    `fetch` gives the JSON document or raises `IdentityUnavailable`; `clock` is monotonic.
    """

    algorithms = ("ES256", "RS256")

    def __init__(self, fetch: Callable[[], object], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[tuple[str, str], Any] = {}
        self._fetched: float | None = None
        self._asked: float | None = None

    def keys(self, header: Mapping[str, Any]) -> Iterator[Any]:
        """The one key with the token's `kid` and `alg`, if there is one."""
        wanted = (str(header.get("kid")), str(header.get("alg")))
        if not self._is_fresh() or wanted not in self._keys:
            self._refresh()
        if not self._is_fresh():
            raise IdentityUnavailable("the JWKS could not be fetched")
        if wanted in self._keys:
            yield self._keys[wanted]

    def _is_fresh(self) -> bool:
        return self._fetched is not None and self._clock() - self._fetched < JWKS_CACHE_SECONDS

    def _refresh(self) -> None:
        now = self._clock()
        if self._asked is not None and now - self._asked < JWKS_PAUSE_SECONDS:
            return
        self._asked = now
        self._keys = dict(_usable_keys(self._fetch()))
        self._fetched = now


def _usable_keys(document: object) -> Iterator[tuple[tuple[str, str], Any]]:
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise IdentityUnavailable("the JWKS is not a key set")
    for jwk in listed:
        # Never `oct`: a secret key in a public document is no secret.
        algorithm = _ALGORITHM_OF.get(jwk.get("kty")) if isinstance(jwk, dict) else None
        if algorithm is None or jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
            continue
        try:
            yield (str(jwk.get("kid")), algorithm), jwt.PyJWK(jwk, algorithm=algorithm).key
        except jwt.PyJWTError:
            logger.warning("a key of the JWKS cannot be used", extra={"kid": str(jwk.get("kid"))[:64]})


def jwks_at(url: str) -> Callable[[], object]:
    """A `fetch` for `KeySet` that asks `url`."""

    def fetch() -> object:
        try:
            response = httpx.get(url, timeout=JWKS_TIMEOUT_SECONDS, follow_redirects=False)
            if response.status_code == httpx.codes.OK:
                return response.json()
            raise IdentityUnavailable(f"the JWKS address answered {response.status_code}")
        except httpx.HTTPError as error:
            raise IdentityUnavailable(f"the JWKS address cannot be reached: {type(error).__name__}") from None
        except ValueError:
            raise IdentityUnavailable("the JWKS address answered with something else than JSON") from None

    return fetch


class Identity:
    """Reads callers from `Authorization` headers; `issuer` is the project's `iss`."""

    def __init__(self, sources: Sequence[KeySource], issuer: str) -> None:
        self._sources = sources
        self._issuer = issuer

    def caller(self, authorization: str) -> Caller:
        """
        The caller.

        Raise `IdentityError` when the header holds no valid token, `IdentityUnavailable` or `SecretError` when
        there is no key to check it with.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise IdentityError("no bearer token")
        if len(token) > LONGEST_TOKEN:
            raise IdentityError("the token is too long")
        return Caller.of(self._verify(token))

    def _verify(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            for key in self._candidates(header):
                try:
                    return self._decode(token, key, header["alg"])
                except jwt.InvalidSignatureError:
                    continue
        except (jwt.PyJWTError, UnicodeError, RecursionError) as error:
            raise IdentityError(type(error).__name__) from None
        raise IdentityError("no key fits")

    def _candidates(self, header: Mapping[str, Any]) -> Iterator[Any]:
        for source in self._sources:
            if header.get("alg") in source.algorithms:
                yield from source.keys(header)

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=AUDIENCE,
            issuer=self._issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
        )
