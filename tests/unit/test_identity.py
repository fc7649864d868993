"""Callers from access tokens: which are let in, and what the attacks on JWTs come to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from reminders.errors import IdentityError, IdentityUnavailable
from reminders.identity import (
    JWKS_CACHE_SECONDS,
    JWKS_PAUSE_SECONDS,
    LEEWAY_SECONDS,
    Caller,
    Identity,
    KeySet,
    SharedSecret,
)
from tests.helpers.cases import table
from tests.tokens import ADMIN, EC_KEY, ISSUER, RSA_KEY, SECRET, claims, ec_jwk, jwks, rsa_jwk, signed


class Jwks:
    """A JWKS address with its own clock: what it answers, and how often it was asked."""

    def __init__(self) -> None:
        self.document: Any = jwks()
        self.asked = 0
        self.now = 1_000.0
        self.keys = KeySet(self.fetch, lambda: self.now)

    def fetch(self) -> object:
        self.asked += 1
        if isinstance(self.document, Exception):
            raise self.document
        found: object = self.document
        return found


@pytest.fixture
def address() -> Jwks:
    return Jwks()


@pytest.fixture
def caller(address: Jwks) -> Callable[[str], Caller]:
    """Reads a token as the admin function does, with the secret and the key set."""
    secret = SharedSecret(lambda: SECRET, lambda than: None)
    identity = Identity([secret, address.keys], ISSUER)
    return lambda token: identity.caller(f"Bearer {token}")


Read = Callable[[str], Caller]


@table(
    "token",
    [
        pytest.param(lambda: signed(claims()), id="HS256"),
        pytest.param(lambda: signed(claims(), EC_KEY, "ES256", kid="ec"), id="ES256"),
        pytest.param(lambda: signed(claims(), RSA_KEY, "RS256", kid="rsa"), id="RS256"),
    ],
)
def test_token_of_the_project(caller: Read, token: Callable[[], str]) -> None:
    """Each algorithm that Supabase signs with is read by its own key."""
    found = caller(token())
    assert (found.user_id, found.is_admin, found.org_ids) == (ADMIN, True, None)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(algorithm: str) -> str:
    return f"{encoded({'alg': algorithm, 'typ': 'JWT'})}.{encoded(claims())}."


def confused(key: Any, encoding: serialization.Encoding) -> str:
    """HMAC with the public key as its secret, which everyone knows."""
    public = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    head = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'})}.{encoded(claims())}"
    mac = hmac.new(public, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def tampered() -> str:
    head, _, signature = signed(claims(app={})).split(".")
    return f"{head}.{encoded(claims())}.{signature}"


def now() -> int:
    return int(time.time())


ATTACKS: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned("none"),
    "None, spelled otherwise": lambda: unsigned("nOnE"),
    "public key as HMAC secret, PEM": lambda: confused(RSA_KEY, serialization.Encoding.PEM),
    "public key as HMAC secret, DER": lambda: confused(RSA_KEY, serialization.Encoding.DER),
    "another secret": lambda: signed(claims(), "another secret that is long enough to be one"),
    "HS512 with the right secret": lambda: signed(claims(), SECRET.ljust(64, "."), "HS512"),
    "RS256 with the EC key's id": lambda: signed(claims(), RSA_KEY, "RS256", kid="ec"),
    "ES256 without a key id": lambda: signed(claims(), EC_KEY, "ES256"),
    "key in the token's own header": lambda: signed(claims(), EC_KEY, "ES256", kid="mine", jwk=ec_jwk("mine")),
    "critical header": lambda: signed(claims(), crit=["exp"]),
    "tampered claims": tampered,
    "expired": lambda: signed(claims(exp=now() - LEEWAY_SECONDS - 1)),
    "not yet valid": lambda: signed(claims(nbf=now() + LEEWAY_SECONDS + 5)),
    "issued in the future": lambda: signed(claims(iat=now() + 3600)),
    "no expiry": lambda: signed(claims(exp=None)),
    "another audience": lambda: signed(claims(aud="anon")),
    "no audience": lambda: signed(claims(aud=None)),
    "another project": lambda: signed(claims(issuer="https://other.example/auth/v1")),
    "no issuer": lambda: signed(claims(iss=None)),
    "no subject": lambda: signed(claims(sub=None)),
    "a service key": lambda: signed({"role": "service_role", "iss": "supabase", "exp": now() + 3600}),
    "a subject that is no id": lambda: signed(claims(sub="admin")),
    "an id spelled otherwise": lambda: signed(claims(sub=f"{{{ADMIN}}}")),
    "claims that are no object": lambda: f"{encoded({'alg': 'HS256'})}.{encoded([])}.",
    "nothing": lambda: "",
    "two dots": lambda: "..",
    "not Base64": lambda: "é.\ud800.ü",
    "nested deep": lambda: f"{base64.urlsafe_b64encode(b'[' * 6_000).decode()}.e30.",
    "enormous": lambda: signed(claims(user_metadata={"x": "x" * 10_000})),
}


@table("attack", ATTACKS)
def test_token_that_is_refused(caller: Read, attack: str) -> None:
    """Every known way to make a token look like the project's."""
    with pytest.raises(IdentityError):
        caller(ATTACKS[attack]())


@table("header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer {0}, Bearer {0}", "Bearer  {}"])
def test_header_that_is_no_bearer_token(header: str) -> None:
    """A token under another scheme, doubled or bare is none."""
    identity = Identity([SharedSecret(lambda: SECRET, lambda than: None)], ISSUER)
    with pytest.raises(IdentityError):
        identity.caller(header.format(signed(claims())))


def test_clocks_that_differ_a_little(caller: Read) -> None:
    """Ten seconds either way are forgiven."""
    caller(signed(claims(exp=now() - LEEWAY_SECONDS + 5)))
    caller(signed(claims(nbf=now() + LEEWAY_SECONDS - 5)))


@table(
    ("app", "expected"),
    [
        ({"role": "admin"}, (True, None)),
        ({"role": "admin", "org_ids": [str(UUID(int=7))]}, (True, {UUID(int=7)})),
        ({"role": "admin", "org_ids": []}, (True, set())),
        ({"role": "admin", "org_ids": "all"}, (True, set())),
        ({"role": "admin", "org_ids": None}, (True, set())),
        ({"role": "admin", "org_ids": ["*", 7, "x", str(UUID(int=7)).upper().replace("0", "O")]}, (True, set())),
        ({"role": "Admin"}, (False, None)),
        ({"role": ["admin"]}, (False, None)),
        ({}, (False, None)),
        ([], (False, None)),
    ],
)
def test_who_is_an_admin_and_of_what(app: Any, expected: tuple[bool, set[UUID] | None]) -> None:
    """app_metadata.role alone, limited to the organisations named; a claim that names none limits to none."""
    found = Caller.of(claims(app=app, user_metadata={"role": "admin"}))
    assert (found.is_admin, found.org_ids) == expected


@table(
    "own",
    [{"role": "service_role"}, {"role": "anon"}, {"role": None}, {"is_anonymous": True}, {"is_anonymous": "true"}],
)
def test_token_of_no_signed_in_user(own: dict[str, Any]) -> None:
    """Refused whatever app_metadata says."""
    with pytest.raises(IdentityError, match="not a signed-in user's"):
        Caller.of(claims(app={"role": "admin"}, **own))


@table(("aal", "expected"), [("aal2", True), ("aal1", False), (None, False), (2, False)])
def test_second_factor(aal: Any, expected: bool) -> None:
    """Only the claim `aal` = `aal2` says that a second factor confirmed the session."""
    assert expected == Caller.of(claims(aal=aal)).has_second_factor


def test_secret_that_was_rotated() -> None:
    """A signature that does not fit has the secret fetched afresh, once."""
    asked: list[str] = []

    def newer(than: str) -> str:
        asked.append(than)
        return SECRET

    old = "yesterday's secret, which was long enough too"
    identity = Identity([SharedSecret(lambda: old, newer)], ISSUER)
    identity.caller(f"Bearer {signed(claims())}")
    assert asked == [old]


def test_secret_that_is_too_short() -> None:
    """A secret that can be guessed lets no one in; it is our fault, not the caller's."""
    identity = Identity([SharedSecret(lambda: "short", lambda than: None)], ISSUER)
    with pytest.raises(IdentityUnavailable):
        identity.caller(f"Bearer {signed(claims())}")


def test_key_set_is_fetched_once(caller: Read, address: Jwks) -> None:
    """Within ten minutes, whichever of its keys is asked for; then again."""
    for _ in range(3):
        caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
        caller(signed(claims(), RSA_KEY, "RS256", kid="rsa"))
    assert address.asked == 1
    address.now += JWKS_CACHE_SECONDS
    caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
    assert address.asked == 2


def test_shared_secret_needs_no_key_set(caller: Read, address: Jwks) -> None:
    """A token by HS256 fetches nothing."""
    caller(signed(claims()))
    assert address.asked == 0


def test_rotated_key(caller: Read, address: Jwks) -> None:
    """A new kid is found by one more fetch, once the pause is over."""
    caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
    address.document = jwks(ec_jwk("new"))
    address.now += JWKS_PAUSE_SECONDS
    caller(signed(claims(), EC_KEY, "ES256", kid="new"))
    assert address.asked == 2


def test_invented_key_ids(caller: Read, address: Jwks) -> None:
    """A hundred of them cause one fetch, not a hundred."""
    caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
    address.now += JWKS_PAUSE_SECONDS
    for n in range(100):
        with pytest.raises(IdentityError):
            caller(signed(claims(), EC_KEY, "ES256", kid=f"invented {n}"))
    assert address.asked == 2


def test_removed_key(caller: Read, address: Jwks) -> None:
    """A key that was withdrawn is refused when the cached set has run out."""
    caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
    address.document = jwks(rsa_jwk())
    address.now += JWKS_CACHE_SECONDS
    with pytest.raises(IdentityError):
        caller(signed(claims(), EC_KEY, "ES256", kid="ec"))


def test_key_set_that_cannot_be_had(caller: Read, address: Jwks) -> None:
    """No one is let in unchecked, the caller is not blamed, and the address is not hammered."""
    address.document = IdentityUnavailable("down")
    for _ in range(5):
        with pytest.raises(IdentityUnavailable):
            caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
    assert address.asked == 1


@pytest.mark.parametrize("document", [None, [], {}, {"keys": "none"}])
def test_document_that_is_no_key_set(caller: Read, address: Jwks, document: Any) -> None:
    """An address that answers something else is as good as one that does not."""
    address.document = document
    with pytest.raises(IdentityUnavailable):
        caller(signed(claims(), EC_KEY, "ES256", kid="ec"))


def test_keys_that_are_none_of_ours(caller: Read, address: Jwks) -> None:
    """A secret key, an encryption key, another curve and a broken one are passed over; the rest serve."""
    secret = {"kty": "oct", "k": encoded("x"), "kid": "oct", "alg": "HS256"}
    others = [secret, 7, {}, ec_jwk("enc", use="enc"), ec_jwk("p384", alg="ES384"), ec_jwk("broken", x="AA")]
    address.document = {"keys": [*others, ec_jwk()]}
    caller(signed(claims(), EC_KEY, "ES256", kid="ec"))
    for kid in ("oct", "enc", "p384", "broken"):
        address.now += JWKS_PAUSE_SECONDS
        with pytest.raises(IdentityError):
            caller(signed(claims(), EC_KEY, "ES256", kid=kid))


def test_refusal_does_not_quote_the_token(caller: Read) -> None:
    """What is logged is a class, not what someone sent."""
    token = signed(claims(issuer="https://mallory.example"))
    with pytest.raises(IdentityError) as refusal:
        caller(token)
    assert str(refusal.value) == jwt.InvalidIssuerError.__name__
