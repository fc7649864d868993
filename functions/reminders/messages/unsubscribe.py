"""
The link that ends the e-mails for a person with one click (RFC 8058), without signing in.

    https://…/unsubscribe?p=<person>&s=<signature>       HMAC-SHA-256 of the person's id, URL-safe Base64

A signature says that the link came from us. It does not expire: a mail may be read a year later.
"""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from urllib.parse import urlencode
from uuid import UUID

from reminders.errors import SecretError

# RFC 2104: a key shorter than the hash weakens it.
SHORTEST_KEY = 32


def link(url: str, key: str, person: UUID) -> str:
    """The address that unsubscribes `person`."""
    return f"{url}?{urlencode({'p': str(person), 's': sign(key, person)})}"


def check_key(key: str) -> None:
    """Raise `SecretError` for a key that protects nothing."""
    if len(key.encode()) < SHORTEST_KEY:
        raise SecretError(f"the unsubscribe key is shorter than {SHORTEST_KEY} bytes")


def sign(key: str, person: UUID) -> str:
    """The signature of `person`'s link; raise `SecretError` as `check_key` does."""
    check_key(key)
    digest = hmac.digest(key.encode(), b"unsubscribe:" + person.bytes, sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def is_signed(key: str, person: UUID, signature: str) -> bool:
    """Compare in constant time. Raise `SecretError` as `check_key` does."""
    return hmac.compare_digest(sign(key, person).encode(), signature.encode("utf-8", "surrogatepass"))
