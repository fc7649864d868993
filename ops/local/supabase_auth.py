"""
A stand-in for Supabase Auth on loopback, as far as the console uses it.

    with SupabaseAuth(secret) as auth:
        auth.add(User("ada@example.org", "a password", app_metadata={"role": "admin"}))

Its answers have the documented form (Supabase docs: "Error codes", "Auth REST API"): status, `error_code`, `msg`.
Access tokens are signed with the project's secret (HS256). A code by e-mail is in `sent`. Nothing is stored on disk.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import struct
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
from werkzeug import Request, Response

from ops.local.loopback import Loopback

PUBLISHABLE_KEY = "sb_publishable_local"
TOKEN_SECONDS = 3600
CODE_SECONDS = 3600
# Supabase's default: a refresh token may be used again for so long, because two tabs may do it at once.
REUSE_SECONDS = 10.0
# Supabase's default: after an e-mail, the account gets no other one for so long.
EMAIL_SECONDS = 60
_TOO_MANY_EMAILS = (
    "over_email_send_rate_limit",
    "For security purposes, you can only request this after 60 seconds.",
)
_INVALID_LOGIN = (400, "invalid_credentials", "Invalid login credentials")
_EXPIRED_CODE = (403, "otp_expired", "Token has expired or is invalid")

StatusAndBody = tuple[int, dict[str, Any]]


@dataclass
class User:
    """
    An account. `totp_secret`: of the authenticator app, Base32; None: none. `other_factors`: the status by the type,
    such as phone or webauthn.
    """

    email: str
    password: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    app_metadata: dict[str, Any] = field(default_factory=dict)
    is_confirmed: bool = True
    totp_secret: str | None = None
    factor_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    other_factors: dict[str, str] = field(default_factory=dict)


@dataclass
class _Session:
    user: User
    aal: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    refresh_token: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    # The previous token, and the time until which it may be used again.
    previous: str = ""
    previous_until: float = 0.0


class Refused(Exception):
    """An error answer: status, error_code, msg."""


class SupabaseAuth(Loopback):
    """The server. `limited`: answer every attempt to sign in with 429."""

    def __init__(self, secret: str, issuer: str | None = None) -> None:
        super().__init__(Request.application(self._respond))
        self._secret = secret
        self.issuer = issuer or f"{self.url}/auth/v1"
        self.users: dict[str, User] = {}
        self.sent: list[tuple[str, str]] = []
        self.limited = False
        self.token_seconds = TOKEN_SECONDS
        self._codes: dict[str, tuple[str, float]] = {}
        self._next_email: dict[str, float] = {}
        self._sessions: list[_Session] = []
        self._challenges: dict[str, str] = {}

    def add(self, user: User) -> User:
        self.users[user.email] = user
        return user

    def end_sessions(self) -> None:
        """End all sessions, as an administrator can."""
        self._sessions.clear()

    def _respond(self, request: Request) -> Response:
        status, document = self._answer(request)
        response = Response(json.dumps(document), status, content_type="application/json")
        return response if status != 204 else Response(status=204)

    def _answer(self, request: Request) -> StatusAndBody:
        if request.headers.get("apikey") != PUBLISHABLE_KEY:
            return 401, {"message": "Invalid API key", "hint": "Double check your Supabase `anon` API key."}
        handle = _HANDLERS.get((request.method, request.path.removeprefix("/auth/v1").strip("/").split("/")[0]))
        if handle is None:
            return 404, {"code": 404, "error_code": "not_found", "msg": "404 page not found"}
        body = request.get_json(force=True) if request.content_length else {}
        try:
            return handle(self, request, body)
        except Refused as refused:
            status, code, message = refused.args
            return status, {"code": status, "error_code": code, "msg": message}

    def _token(self, request: Request, body: dict[str, Any]) -> StatusAndBody:
        if request.args.get("grant_type") == "refresh_token":
            return self._refresh(str(body.get("refresh_token")))
        self._check_limit("over_request_rate_limit", "Request rate limit reached")
        user = self.users.get(str(body.get("email")).lower())
        if user is None or not hmac.compare_digest(user.password, str(body.get("password"))):
            raise Refused(*_INVALID_LOGIN)
        if not user.is_confirmed:
            raise Refused(400, "email_not_confirmed", "Email not confirmed")
        return self._begin(user, "aal1", "password")

    def _refresh(self, given: str) -> StatusAndBody:
        for session in self._sessions:
            if session.refresh_token == given:
                session.previous, session.previous_until = given, time.monotonic() + REUSE_SECONDS
                session.refresh_token = secrets.token_urlsafe(9)
                return self._tokens(session, "token_refresh")
            if session.previous == given:
                if time.monotonic() < session.previous_until:
                    return self._tokens(session, "token_refresh")
                # A second client has the token as well: the whole session ends.
                self._sessions.remove(session)
                raise Refused(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        raise Refused(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")

    def _otp(self, request: Request, body: dict[str, Any]) -> StatusAndBody:
        self._check_limit(*_TOO_MANY_EMAILS)
        email = str(body.get("email")).lower()
        if "@" not in email:
            raise Refused(400, "validation_failed", "Unable to validate email address: invalid format")
        if email not in self.users:
            raise Refused(422, "otp_disabled", "Signups not allowed for otp")
        now = time.monotonic()
        if now < self._next_email.get(email, now):
            raise Refused(429, *_TOO_MANY_EMAILS)
        code = f"{secrets.randbelow(10**6):06}"
        self._codes[email], self._next_email[email] = (code, now + CODE_SECONDS), now + EMAIL_SECONDS
        self.sent.append((email, code))
        return 200, {}

    def _verify(self, request: Request, body: dict[str, Any]) -> StatusAndBody:
        self._check_limit("over_request_rate_limit", "Request rate limit reached")
        email = str(body.get("email")).lower()
        code, until = self._codes.get(email, ("", 0.0))
        if not code or code != body.get("token") or time.monotonic() > until:
            raise Refused(*_EXPIRED_CODE)
        del self._codes[email]
        user = self.users[email]
        user.is_confirmed = True
        return self._begin(user, "aal1", "otp")

    def _logout(self, request: Request, body: dict[str, Any]) -> StatusAndBody:
        self._sessions.remove(self._session(request))
        return 204, {}

    def _user(self, request: Request, body: dict[str, Any]) -> StatusAndBody:
        return 200, _user_document(self._session(request).user)

    def _factors(self, request: Request, body: dict[str, Any]) -> StatusAndBody:
        session, path = self._session(request), request.path.split("/")[3:]
        user = session.user
        if user.totp_secret is None or len(path) != 3 or path[1] != user.factor_id:
            raise Refused(404, "mfa_factor_not_found", "MFA factor with the provided factor ID not found")
        if path[2] == "challenge":
            challenge = str(uuid.uuid4())
            self._challenges[challenge] = user.factor_id
            return 200, {"id": challenge, "type": "totp", "expires_at": int(time.time()) + 300}
        if self._challenges.get(str(body.get("challenge_id"))) != user.factor_id:
            raise Refused(422, "mfa_challenge_expired", "MFA challenge has expired, verify against another challenge")
        if body.get("code") not in {totp(user.totp_secret, back) for back in (0, 1)}:
            raise Refused(422, "mfa_verification_failed", "Invalid TOTP code entered")
        del self._challenges[str(body.get("challenge_id"))]
        session.aal = "aal2"
        session.refresh_token = secrets.token_urlsafe(9)
        return self._tokens(session, "totp")

    def _check_limit(self, code: str, message: str) -> None:
        if self.limited:
            raise Refused(429, code, message)

    def _session(self, request: Request) -> _Session:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], audience="authenticated")
        except jwt.PyJWTError:
            raise Refused(403, "bad_jwt", "invalid JWT: unable to parse or verify signature") from None
        for session in self._sessions:
            if session.id == claims["session_id"]:
                return session
        raise Refused(403, "session_not_found", "Session from session_id claim in JWT does not exist")

    def _begin(self, user: User, aal: str, method: str) -> StatusAndBody:
        session = _Session(user, aal)
        self._sessions.append(session)
        return self._tokens(session, method)

    def _tokens(self, session: _Session, method: str) -> StatusAndBody:
        now, user = int(time.time()), session.user
        claims = {
            "iss": self.issuer,
            "sub": user.id,
            "aud": "authenticated",
            "exp": now + self.token_seconds,
            "iat": now,
            "email": user.email,
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"], **user.app_metadata},
            "user_metadata": {},
            "role": "authenticated",
            "aal": session.aal,
            "amr": [{"method": method, "timestamp": now}],
            "session_id": session.id,
            "is_anonymous": False,
        }
        return 200, {
            "access_token": jwt.encode(claims, self._secret, algorithm="HS256"),
            "token_type": "bearer",
            "expires_in": self.token_seconds,
            "expires_at": claims["exp"],
            "refresh_token": session.refresh_token,
            "user": _user_document(user),
        }


def _user_document(user: User) -> dict[str, Any]:
    document = {"id": user.id, "aud": "authenticated", "role": "authenticated", "email": user.email}
    factors = [{"id": str(uuid.uuid4()), "status": it, "factor_type": kind} for kind, it in user.other_factors.items()]
    if user.totp_secret is not None:
        factors.append({"id": user.factor_id, "status": "verified", "factor_type": "totp"})
    # Supabase leaves the field out when there is none.
    return {**document, "app_metadata": user.app_metadata, **({"factors": factors} if factors else {})}


def totp(secret: str, steps_back: int = 0) -> str:
    """The code of an authenticator app (RFC 6238: SHA-1, 30 seconds, 6 digits)."""
    counter = struct.pack(">Q", int(time.time()) // 30 - steps_back)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    number: int = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


_HANDLERS: dict[tuple[str, str], Callable[..., StatusAndBody]] = {
    ("POST", "token"): SupabaseAuth._token,
    ("POST", "otp"): SupabaseAuth._otp,
    ("POST", "verify"): SupabaseAuth._verify,
    ("POST", "logout"): SupabaseAuth._logout,
    ("GET", "user"): SupabaseAuth._user,
    ("POST", "factors"): SupabaseAuth._factors,
}
