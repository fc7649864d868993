"""
The session: what the browser keeps between two pages.

Two cookies, both HttpOnly, Secure, SameSite=Strict and `__Host-` (no subdomain can set them):

    __Host-console        form token, access token, refresh token; in pieces, because a browser takes 4,096 bytes
    __Host-console-form   the form token of a visitor who is not signed in yet

The form token is random, is new with each sign-in, and is not changed when the tokens are refreshed, so that a form
that was open meanwhile still works. The access token is verified on each request like any other.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from reminders.console.auth import Tokens

COOKIE = "__Host-console"
FORM_COOKIE = "__Host-console-form"
PIECE = 3_500
# An access token has at most 8,192 characters (reminders.identity).
MOST_PIECES = 3
_PARTED = "!"
# The characters of tokens (RFC 6750, "b64token"), which a cookie can contain without quoting.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a signed-in browser."""

    form_token: str
    tokens: Tokens

    @classmethod
    def begin(cls, tokens: Tokens) -> Session:
        """A new session has a new form token, so that a token from before sign-in is not accepted."""
        return cls(new_form_token(), tokens)

    @classmethod
    def read(cls, cookies: Mapping[str, str]) -> Session | None:
        """The session in the request's cookies, if there is one."""
        pieces = [cookies.get(name, "") for name in _names()]
        parts = "".join(pieces).split(_PARTED)
        if len(parts) != 3 or not all(_TOKEN.fullmatch(part) for part in parts):
            return None
        return cls(parts[0], Tokens(parts[1], parts[2]))

    def with_tokens(self, tokens: Tokens) -> Session:
        """The same session with other tokens."""
        return replace(self, tokens=tokens)

    def cookies(self) -> list[str]:
        """`Set-Cookie` values; pieces that are no longer needed are deleted."""
        text = _PARTED.join((self.form_token, self.tokens.access, self.tokens.refresh))
        if len(text) > PIECE * MOST_PIECES:
            raise ValueError("the tokens are too long for a cookie")
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        unused = MOST_PIECES - len(pieces)
        return [set_cookie(name, piece) for name, piece in zip(_names(), pieces + [""] * unused, strict=True)]


def ended() -> list[str]:
    """`Set-Cookie` values that delete the session's cookies."""
    return [set_cookie(name, "") for name in _names()]


def new_form_token() -> str:
    """256 bits, as text."""
    return secrets.token_urlsafe(32)


def is_same(known: str, given: str) -> bool:
    """Compare form tokens in constant time; an empty token never matches."""
    return bool(known) and hmac.compare_digest(known.encode(), given.encode())


def set_cookie(name: str, value: str) -> str:
    """A cookie that lasts until the browser is closed; an empty `value` deletes it immediately."""
    end = "" if value else "; Max-Age=0"
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{end}"


def _names() -> list[str]:
    return [COOKIE if number == 0 else f"{COOKIE}-{number}" for number in range(MOST_PIECES)]
