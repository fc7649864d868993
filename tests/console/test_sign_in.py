"""Signing in and out, against the documented answers of Supabase Auth."""

from __future__ import annotations

import base64

import pytest

from handlers.wiring import console as wiring
from ops.local.supabase_auth import totp
from tests.console.visitors import PASSWORD, Console, Visitor, text_of
from tests.helpers.cases import table

ADMIN = {"role": "admin"}
FACTOR = "/console/sign-in/second-factor"


def test_with_a_password(console: Console) -> None:
    """The overview opens, and says who is signed in."""
    console.user(ADMIN)
    visitor = console.visitor()
    page = visitor.sign_in("ada@example.org")
    assert (200, True) == (page.status_code, "ada@example.org" in text_of(page))
    assert ["/console"] == visitor.visited


def test_page_that_was_asked_for_comes_after_signing_in(console: Console) -> None:
    """A person who follows a link signs in and is where the link leads, with its filters."""
    console.user(ADMIN)
    visitor = console.visitor()
    first = visitor.get("/console/needs-contact?threshold=escalation")
    assert 'value="/console/needs-contact?threshold=escalation"' in first.text
    visitor.sign_in("ada@example.org", next="/console/needs-contact?threshold=escalation")
    assert "/console/needs-contact?threshold=escalation" == visitor.visited[-1]


def test_wrong_password(console: Console) -> None:
    """The error stands beside the field, the address is kept, the password is not shown again."""
    console.user(ADMIN)
    page = console.visitor().sign_in("ada@example.org", "not the password")
    assert 422 == page.status_code
    assert 'value="ada@example.org"' in page.text
    assert "The e-mail address or the password is wrong." in text_of(page)
    assert "not the password" not in page.text


@table(
    ("email", "password", "words"),
    [
        ("", PASSWORD, "Enter your e-mail address"),
        ("no address", PASSWORD, "Enter your e-mail address"),
        ("a@b" * 100, PASSWORD, "Enter your e-mail address"),
        ("ada@example.org", "", "Enter your password."),
        ("ada@example.org", "x" * 201, "Enter your password."),
        ("nobody@example.org", PASSWORD, "The e-mail address or the password is wrong."),
    ],
)
def test_what_cannot_be_used(console: Console, email: str, password: str, words: str) -> None:
    """Each says what to do."""
    page = console.visitor().sign_in(email, password)
    assert (422, True) == (page.status_code, words in text_of(page))


def test_address_that_is_not_confirmed(console: Console) -> None:
    """Supabase's email_not_confirmed, in words."""
    console.user(ADMIN, is_confirmed=False)
    assert "is not confirmed yet" in text_of(console.visitor().sign_in("ada@example.org"))


def test_too_many_attempts(console: Console) -> None:
    """Supabase's 429, in words."""
    console.auth.limited = True
    page = console.visitor().sign_in("ada@example.org", "x")
    assert (422, True) == (page.status_code, "Too many attempts." in text_of(page))


def test_too_many_attempts_with_a_code(console: Console) -> None:
    """The same for the code itself."""
    console.auth.limited = True
    visitor = console.visitor()
    visitor.get("/console/sign-in")
    page = visitor.post("/console/sign-in/code", email="ada@example.org", code="123456")
    assert (422, True) == (page.status_code, "Too many attempts." in text_of(page))


def test_with_a_code_by_email(console: Console) -> None:
    """The code that was sent opens the overview; it may be typed in groups."""
    console.user(ADMIN)
    visitor = console.visitor()
    visitor.get("/console/sign-in")
    visitor.post("/console/sign-in", email="ada@example.org", by="code")
    [(address, code)] = console.auth.sent
    page = visitor.post("/console/sign-in/code", email=address, code=f" {code[:3]} {code[3:]} ")
    assert "Who needs contact" in text_of(page)


def test_address_without_an_account_gets_the_same_page(console: Console) -> None:
    """
    This page does not reveal who has an account, also when it is asked again at once: then Supabase refuses to send a
    second e-mail to an account (429), and does not know the other address.
    """
    console.user(ADMIN)
    pages = []
    for email in ("ada@example.org", "bob@example.org"):
        visitor = console.visitor()
        visitor.get("/console/sign-in")
        for _ in range(2):
            page = visitor.post("/console/sign-in", email=email, by="code")
            pages.append((page.status_code, text_of(page)))
    assert [pages[0]] * 4 == pages
    assert 200 == pages[0][0]
    assert ["ada@example.org"] == [address for address, _ in console.auth.sent]


def test_code_that_is_not_sent_says_what_to_do(console: Console) -> None:
    """The page is the same, and says when to ask for another code."""
    console.auth.limited = True
    visitor = console.visitor()
    visitor.get("/console/sign-in")
    page = visitor.post("/console/sign-in", email="ada@example.org", by="code")
    assert (200, True) == (page.status_code, "wait a few minutes, then start again" in text_of(page))


@pytest.mark.parametrize("code", ["000000", "", "x", "1" * 40])
def test_wrong_code(console: Console, code: str) -> None:
    """The page stays, and the code can be entered once more."""
    console.user(ADMIN)
    visitor = console.visitor()
    visitor.get("/console/sign-in")
    visitor.post("/console/sign-in", email="ada@example.org", by="code")
    page = visitor.post("/console/sign-in/code", email="ada@example.org", code=code)
    assert (422, True) == (page.status_code, 'name="code"' in page.text)
    assert 'value="ada@example.org"' in page.text


def test_second_factor(console: Console) -> None:
    """Who has an authenticator app sees no page before its code was entered; then the page that was asked for."""
    secret = base64.b32encode(b"ten bytes.").decode()
    console.user(ADMIN, totp_secret=secret)
    visitor = console.visitor()
    visitor.sign_in("ada@example.org", next="/console/runs")
    assert visitor.visited[-1].startswith(FACTOR)
    assert visitor.get("/console/settings", follow=False).headers["location"].startswith(FACTOR)

    wrong = visitor.post(FACTOR, code="000000", next="/console/runs")
    assert (422, True) == (wrong.status_code, "The code is wrong or too old." in text_of(wrong))
    right = visitor.post(FACTOR, code=totp(secret), next="/console/runs")
    assert "runs in the history" in text_of(right) or "No run has taken place yet" in text_of(right)


def test_second_factor_of_a_session_that_has_ended(console: Console) -> None:
    """The person signs in again, also where the process had not asked Supabase about the session before."""
    console.user(ADMIN, totp_secret=base64.b32encode(b"ten bytes.").decode())
    visitor = console.visitor()
    visitor.sign_in("ada@example.org")
    console.auth.end_sessions()
    wiring.second_factor.cache_clear()  # as in another process
    assert "Your session has ended." in text_of(visitor.post(FACTOR, code="000000", next="/console"))


@pytest.mark.parametrize("kind", ["phone", "webauthn"])
def test_second_factor_that_the_console_cannot_ask_for(console: Console, kind: str) -> None:
    """The password alone does not open the console, and the person learns what to set up. No form leads past this."""
    console.user(ADMIN, other_factors={kind: "verified"})
    visitor = console.visitor()
    for page in (
        visitor.sign_in("ada@example.org"),
        visitor.get("/console/settings"),
        visitor.post(FACTOR, code="000000", next="/console"),
    ):
        assert (403, True) == (page.status_code, "supports authenticator apps only" in text_of(page))
    assert "You are signed out." in text_of(visitor.post("/console/sign-out"))


def test_authenticator_app_beside_another_factor(console: Console) -> None:
    """The app is asked for, whatever else the account has."""
    secret = base64.b32encode(b"ten bytes.").decode()
    console.user(ADMIN, totp_secret=secret, other_factors={"webauthn": "verified"})
    visitor = console.visitor()
    visitor.sign_in("ada@example.org")
    assert visitor.visited[-1].startswith(FACTOR)
    assert 200 == visitor.post(FACTOR, code=totp(secret), next="/console").status_code


def test_factor_that_was_never_verified(console: Console) -> None:
    """Supabase keeps an enrolment that was not finished; it is no second factor."""
    console.user(ADMIN, other_factors={"phone": "unverified"})
    assert 200 == console.visitor().sign_in("ada@example.org").status_code


def test_second_factor_that_everybody_must_have(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ADMIN_REQUIRE_AAL2, an admin without an authenticator app is refused, and learns what to do."""
    monkeypatch.setenv("ADMIN_REQUIRE_AAL2", "true")
    console.user(ADMIN)
    page = console.visitor().sign_in("ada@example.org")
    assert (403, True) == (page.status_code, "A second factor is needed" in text_of(page))


def test_tokens_are_refreshed_before_they_end(console: Console) -> None:
    """An access token that ends within a minute is replaced, and the browser gets the new one; the form token stays."""
    console.auth.token_seconds = 30
    visitor = console.admin()
    before = visitor.cookies["__Host-console"].split("!")
    assert 200 == visitor.get("/console").status_code
    after = visitor.cookies["__Host-console"].split("!")
    assert (before[0], True) == (after[0], before[2] != after[2])


def idle(console: Console) -> Visitor:
    """A visitor who signed in, and whose access token has ended since."""
    visitor = console.visitor()
    visitor.get("/console/sign-in")
    console.auth.token_seconds = -3600
    visitor.post(
        "/console/sign-in", email="ada@example.org", password=PASSWORD, by="password", _options={"follow": False}
    )
    console.auth.token_seconds = 3600
    return visitor


def test_signing_out_after_an_idle_hour(console: Console) -> None:
    """The tokens that were refreshed for it do not stay in the browser, and the session at Supabase has ended."""
    console.user(ADMIN)
    visitor = idle(console)
    copy = console.visitor()
    copy.cookies = dict(visitor.cookies)
    page = visitor.post("/console/sign-out")
    assert "You are signed out." in text_of(page)
    assert not [name for name in visitor.cookies if name.startswith("__Host-console") and "form" not in name]
    assert "Your session has ended." in text_of(copy.get("/console"))


def test_second_factor_after_an_idle_hour(console: Console) -> None:
    """The browser gets the tokens that the second factor has confirmed, and not those that were refreshed before it."""
    secret = base64.b32encode(b"ten bytes.").decode()
    console.user(ADMIN, totp_secret=secret)
    page = idle(console).post(FACTOR, code=totp(secret), next="/console")
    assert (200, True) == (page.status_code, "Who needs contact" in text_of(page))


def test_no_cookie_is_set_twice(console: Console) -> None:
    """Browsers differ in which of two values they keep (RFC 6265, section 4.1.1)."""
    console.user(ADMIN)
    answer = idle(console).post("/console/sign-out", _options={"follow": False})
    names = [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert sorted(set(names)) == sorted(names)


def test_session_that_was_ended_elsewhere(console: Console) -> None:
    """The person signs in again, and reads why."""
    console.auth.token_seconds = 30
    visitor = console.admin()
    console.auth.end_sessions()
    page = visitor.get("/console/runs")
    assert "Your session has ended. Sign in to go on." in text_of(page)
    assert "__Host-console" not in visitor.cookies
    assert 'value="/console/runs"' in page.text


def test_refresh_token_that_was_used_before(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stolen refresh token ends the session of both (Supabase's refresh_token_already_used)."""
    monkeypatch.setattr("ops.local.supabase_auth.REUSE_SECONDS", -1.0)
    console.auth.token_seconds = 30
    visitor = console.admin()
    thief = console.visitor()
    thief.cookies = dict(visitor.cookies)
    visitor.get("/console")
    assert "Your session has ended." in text_of(thief.get("/console"))
    assert "Your session has ended." in text_of(visitor.get("/console"))


def test_signing_out_ends_the_session_everywhere(console: Console) -> None:
    """In this browser and at Supabase: a copy of the cookie is refreshed no more."""
    visitor = console.admin()
    copy = console.visitor()
    copy.cookies = dict(visitor.cookies)
    page = visitor.post("/console/sign-out")
    assert "You are signed out." in text_of(page)
    assert not [name for name in visitor.cookies if name.startswith("__Host-console") and "form" not in name]
    wiring.second_factor.cache_clear()  # as in another process
    assert "Your session has ended." in text_of(copy.get("/console"))


def test_sign_in_service_that_does_not_answer(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page says so, with the id of the request."""
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    page = console.visitor().sign_in("ada@example.org")
    assert 503 == page.status_code
    assert "Signing in does not work right now" in text_of(page)
    assert "name the request:" in text_of(page)


def test_without_its_settings_the_console_is_off(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """404, with a sentence for the operator."""
    for name in ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY_SECRET"):
        monkeypatch.delenv(name)
    answer = console.visitor().get("/console")
    assert (404, True) == (answer.status_code, "The console is not set up here." in answer.text)
