"""
Signing in by Supabase Auth's REST API (Supabase docs: "Auth REST API", "Error codes").

Supabase limits the attempts, counts the codes and keeps the sessions. An error that the person can correct becomes
`SignInRefused`, whose text is shown on the page. Every other error becomes `AuthUnavailable`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from reminders.errors import ReminderError
from reminders.telemetry import logger

TIMEOUT_SECONDS = 5.0
_TOO_MANY = "Too many attempts. Wait a few minutes, then try again."
_WRONG_CODE = "The code is wrong or too old. Check it, or ask for a new one."
WORDS = {
    "invalid_credentials": "The e-mail address or the password is wrong.",
    "email_not_confirmed": "This e-mail address is not confirmed yet. Open the link that was sent to it, then sign in.",
    "user_banned": "This account is blocked. Ask the person who manages your accounts.",
    "otp_expired": _WRONG_CODE,
    "mfa_verification_failed": _WRONG_CODE,
    "mfa_challenge_expired": "That took too long. Enter the code that your app shows now.",
    "validation_failed": "Enter an e-mail address such as name@example.org.",
}
# Answers for an address without an account. The page shows the same text for every address.
_NO_ACCOUNT = {"otp_disabled", "signup_disabled", "user_not_found"}


class SignInRefused(ReminderError):
    """Supabase refused; the text is for the person who signs in."""


class SessionEnded(ReminderError):
    """The refresh token is not valid any more: signed out elsewhere, used already, or too old."""


class FactorNotSupported(ReminderError):
    """The person has a second factor, but none that the console can ask for."""


class AuthUnavailable(ReminderError):
    """Supabase Auth could not be reached, or its answer is not valid. A retry may help."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The two tokens of a session."""

    access: str
    refresh: str


class SupabaseAuth:
    """`url` is the project's address, `key` its publishable key, `tls` verifies the server."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext) -> None:
        self._url = f"{url}/auth/v1"
        self._key = key
        self._tls = tls

    def sign_in_with_password(self, email: str, password: str) -> Tokens:
        """Raise `SignInRefused` for a wrong password, an unconfirmed address, or too many attempts."""
        return _tokens(self._post("/token?grant_type=password", {"email": email, "password": password}))

    def send_code(self, email: str) -> None:
        """
        E-mail a code. An address without an account gets no e-mail, and the caller cannot see the difference.

        Too many requests (429) look the same as well, because Supabase counts the e-mails of an account: a second one
        within a minute is refused, and for an address without an account there is none to refuse.
        """
        response = self._request("POST", "/otp", {"email": email, "create_user": False})
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            logger.warning("no code was sent: too many requests", extra={"reason": _code(response)})
        elif not response.is_success and _code(response) not in _NO_ACCOUNT:
            raise _refusal(response)

    def sign_in_with_code(self, email: str, code: str) -> Tokens:
        """Sign in with the code of the e-mail."""
        return _tokens(self._post("/verify", {"type": "email", "email": email, "token": code}))

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for an old session; raise `SessionEnded` when Supabase gives none."""
        response = self._request("POST", "/token?grant_type=refresh_token", {"refresh_token": refresh_token})
        if response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
            raise SessionEnded(f"the session was not refreshed: {_code(response)}")
        return _tokens(_document(response))

    def sign_out(self, access_token: str) -> None:
        """End this session; the person's other sessions continue."""
        response = self._request("POST", "/logout?scope=local", None, access_token)
        if response.is_server_error:
            raise AuthUnavailable(f"signing out: Supabase Auth answered {response.status_code}")

    def second_factor(self, access_token: str) -> UUID | None:
        """
        The person's verified authenticator app, if there is one.

        Raise `SessionEnded` when the session is over, and `FactorNotSupported` for a person who has verified only
        factors of other types (phone, WebAuthn): without this, their password alone would be enough.
        """
        response = self._request("GET", "/user", None, access_token)
        if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}:
            raise SessionEnded(f"the session is over: {_code(response)}")
        factors = [each for each in _document(response).get("factors") or [] if each.get("status") == "verified"]
        for factor in factors:
            if factor.get("factor_type") == "totp":
                return UUID(factor["id"])
        if factors:
            raise FactorNotSupported("the person's second factor is not an authenticator app")
        return None

    def confirm_second_factor(self, access_token: str, factor: UUID, code: str) -> Tokens:
        """Tokens of a session that the authenticator app has confirmed (aal2)."""
        challenge = self._post(f"/factors/{factor}/challenge", {}, access_token)
        answer = {"challenge_id": str(challenge.get("id")), "code": code}
        return _tokens(self._post(f"/factors/{factor}/verify", answer, access_token))

    def _post(self, path: str, body: Mapping[str, Any], access_token: str | None = None) -> dict[str, Any]:
        return _document(self._request("POST", path, body, access_token))

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, access_token: str | None = None
    ) -> httpx.Response:
        headers = {"apikey": self._key, "authorization": f"Bearer {access_token or self._key}"}
        try:
            return httpx.request(
                method,
                f"{self._url}{path}",
                json=body,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                follow_redirects=False,
                verify=self._tls,
            )
        except httpx.HTTPError as error:
            raise AuthUnavailable(f"Supabase Auth cannot be reached: {type(error).__name__}") from None


def _document(response: httpx.Response) -> dict[str, Any]:
    """The JSON object of a successful answer; raise the error of any other."""
    if not response.is_success:
        raise _refusal(response)
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise AuthUnavailable("Supabase Auth's answer is not a JSON object")
    return document


def _refusal(response: httpx.Response) -> ReminderError:
    code = _code(response)
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return SignInRefused(_TOO_MANY)
    if code in WORDS:
        return SignInRefused(WORDS[code])
    return AuthUnavailable(f"Supabase Auth answered {response.status_code} {code}")


def _code(response: httpx.Response) -> str:
    """`error_code`, or `code` in the newer form of the answers. Their text is not used: it may contain an address."""
    try:
        document = response.json()
    except ValueError:
        return ""
    found = document.get("error_code") or document.get("code") if isinstance(document, dict) else ""
    return found if isinstance(found, str) and found.isascii() and found.replace("_", "").isalnum() else ""


def _tokens(document: Mapping[str, Any]) -> Tokens:
    access, refresh = document.get("access_token"), document.get("refresh_token")
    if not (isinstance(access, str) and isinstance(refresh, str) and access and refresh):
        raise AuthUnavailable("Supabase Auth answered without tokens")
    return Tokens(access, refresh)
