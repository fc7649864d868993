"""
What a hostile page, a visitor who is not signed in or a shared computer could try on the console.

Routes are found by enumeration.
"""

from __future__ import annotations

from http import HTTPStatus

from handlers import console_http
from handlers.console import ROUTES
from handlers.console_http import Route, safe_next
from reminders.console.session import FORM_COOKIE
from reminders.database import Connection
from tests.console.visitors import ASSIGNMENT, ORG, Console, text_of
from tests.helpers.cases import table

IDS = {"assignment_id": str(ASSIGNMENT), "run_id": "00000000-0000-0000-0000-0000000000c1", "org_id": str(ORG)}
CLOSED = [route for route in ROUTES if not route.is_public]
FORMS = [route for route in ROUTES if route.method == "POST"]
PAGES = [route for route in ROUTES if route.method == "GET"]
CORRECT = f"/console/assignments/{ASSIGNMENT}/contact-date"


def path(route: Route) -> str:
    """The route's path with ids that exist."""
    filled = route.path
    for name, value in IDS.items():
        filled = filled.replace(f"<{name}>", value)
    return filled


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


@table("route", CLOSED, ids=name)
def test_visitor_is_sent_to_the_sign_in(console: Console, filled: Connection, route: Route) -> None:
    """Each page and form: the sign-in, with the same answer whether or not the id exists."""
    visitor = console.visitor()
    answer = visitor.request(
        route.method, path(route), follow=False, data={"x": "y"} if route.method == "POST" else None
    )
    assert HTTPStatus.SEE_OTHER == answer.status_code
    assert answer.headers["location"].startswith("/console/sign-in")


def test_visitor_who_is_not_signed_in_does_not_learn_which_pages_exist(console: Console) -> None:
    """A page that does not exist answers as one that does."""
    answer = console.visitor().get("/console/nothing/here", follow=False)
    assert (303, "/console/sign-in?next=%2Fconsole%2Fnothing%2Fhere") == (
        answer.status_code,
        answer.headers["location"],
    )


@table("app", [{}, {"role": "mentor"}, {"role": "coordinator"}, {"role": "administrator"}])
def test_person_who_is_no_admin(console: Console, filled: Connection, app: dict[str, str]) -> None:
    """Refused on every page and form, and informed what to ask for; no date is changed."""
    console.user(app, "mia@example.org")
    visitor = console.visitor()
    visitor.sign_in("mia@example.org")
    form = {"date": "2026-11-20", "reason": "a reason", "reminder_days": "7", "escalation_days": "9"}
    for route in (route for route in CLOSED if not route.before_factor):
        answer = visitor.post(path(route), **form) if route.method == "POST" else visitor.get(path(route))
        refused = (answer.status_code, "not an admin of an organisation" in text_of(answer))
        assert (403, True) == refused, name(route)
    assert (0, 0) == (_count(filled, "contact_date_corrections"), _count(filled, "admin_changes"))


def _count(owner: Connection, table: str) -> int:
    row = owner.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    return int(row[0]) if row else -1


@table("route", PAGES, ids=name)
def test_headers_of_each_page(console: Console, filled: Connection, route: Route) -> None:
    """No script, frame or cache; files that are public and named by their content may be cached."""
    answer = console.admin().get(path(route), follow=False)
    headers = answer.headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ("DENY", "nosniff") == (headers["x-frame-options"], headers["x-content-type-options"])
    is_file = route.path.endswith((".css", ".svg"))
    assert ("public, max-age=31536000, immutable" if is_file else "no-store") == headers["cache-control"]
    assert "<script" not in answer.text
    assert " style=" not in answer.text and "<style" not in answer.text


def test_cookies_can_be_read_by_no_script_and_sent_by_no_other_site(console: Console) -> None:
    """Every cookie of signing in, and of a page before it."""
    console.user({"role": "admin"})
    visitor = console.visitor()
    first = visitor.get("/console/sign-in")
    second = visitor.post(
        "/console/sign-in",
        email="ada@example.org",
        password="a password of some length",
        by="password",
        _options={"follow": False},
    )
    cookies = first.headers.get_list("set-cookie") + second.headers.get_list("set-cookie")
    assert 4 <= len(cookies)
    for cookie in cookies:
        attributes = [part.strip() for part in cookie.split(";")[1:]]
        assert cookie.startswith("__Host-")
        assert ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] == attributes[:4]
        assert attributes[4:] in ([], ["Max-Age=0"])


@table(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "https://other.on.aws"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "null"},
        {"sec-fetch-site": ""},
    ],
    ids=["cross-site", "same-site", "no site", "old browser", "null", "nothing"],
)
def test_form_from_another_origin(console: Console, filled: Connection, headers: dict[str, str]) -> None:
    """Refused on every form, even with a valid session and form token."""
    visitor = console.admin()
    form = {"form_token": visitor.form_token, "date": "2026-11-20", "reason": "a reason", "version": "*"}
    for route in FORMS:
        answer = visitor.request("POST", path(route), headers=headers, data=form, follow=False)
        refused = (answer.status_code, "comes from another website" in text_of(answer))
        assert (403, True) == refused, name(route)
    assert 0 == _count(filled, "contact_date_corrections")


def test_form_of_an_old_browser(console: Console) -> None:
    """Without Fetch Metadata, the origin must be this host."""
    console.user({"role": "admin"})
    visitor = console.visitor()
    visitor.get("/console/sign-in")
    data = {"form_token": visitor.form_token, "email": "ada@example.org", "password": "x", "by": "password"}
    headers = {"sec-fetch-site": "", "origin": console.url}
    assert 422 == visitor.request("POST", "/console/sign-in", headers=headers, data=data).status_code


@table("route", FORMS, ids=name)
@table("token", ["", "x", "A" * 43])
def test_form_without_its_token(console: Console, filled: Connection, route: Route, token: str) -> None:
    """Refused; the token of another person's session is no better."""
    visitor = console.admin() if not route.is_public else console.visitor()
    visitor.get("/console/sign-in")
    answer = visitor.post(path(route), token=token, date="2026-11-20", reason="a reason", version="*")
    assert 403 == answer.status_code
    assert 0 == _count(filled, "contact_date_corrections")


def test_token_of_another_session(console: Console, filled: Connection) -> None:
    """Two admins of one organisation: the token of one is of no use to the other."""
    first, second = console.admin(ORG), console.admin(ORG, email="bob@example.org")
    answer = first.post(CORRECT, token=second.form_token, date="2026-11-20", reason="a reason", version="*")
    assert 403 == answer.status_code


def test_session_that_was_planted_before(console: Console) -> None:
    """Session fixation: tokens that were known before signing in are replaced, and of no use afterwards."""
    console.user({"role": "admin"})
    visitor = console.visitor()
    visitor.cookies["__Host-console"] = "planted!x!y"
    visitor.cookies["__Host-console-2"] = "piece"
    visitor.get("/console/sign-in")
    before = visitor.cookies[FORM_COOKIE]
    visitor.post(
        "/console/sign-in", token=before, email="ada@example.org", password="a password of some length", by="password"
    )
    assert not visitor.cookies["__Host-console"].startswith("planted")
    assert ("__Host-console-2" in visitor.cookies, FORM_COOKIE in visitor.cookies) == (False, False)
    assert 403 == visitor.post("/console/sign-out", token=before).status_code


@table(
    "planted",
    ["", "!", "a!b!c", "a!b", "a!b!c!d", "x" * 4000, 'a!b"!c', "a!" + "b" * 9000 + "!c", "a! !c"],
)
def test_cookie_that_is_no_session(console: Console, planted: str) -> None:
    """Whatever it holds: the sign-in."""
    visitor = console.visitor()
    visitor.cookies["__Host-console"] = planted
    assert "Sign in" in text_of(visitor.get("/console"))


@table(
    ("given", "where"),
    [
        ("/console/runs", "/console/runs"),
        ("/console/runs?status=failed", "/console/runs?status=failed"),
        ("/console", "/console"),
        ("", "/console"),
        ("https://evil.example/console", "/console"),
        ("//evil.example/console", "/console"),
        ("/\\evil.example/console", "/console"),
        ("/console/../runs", "/console"),
        ("/console@evil.example", "/console"),
        ("/consolation", "/console"),
        ("javascript:alert(1)", "/console"),
        ("/console/\n/evil", "/console"),
        ("/console/%0d%0aset-cookie:x", "/console"),
        ("/console/sign-out", "/console"),
        ("https:///console", "/console"),
        ("/console//evil.example", "/console//evil.example"),
        ("/runs", "/console"),
    ],
)
def test_where_signing_in_leads(given: str, where: str) -> None:
    """Only to a page of the console: no open redirect."""
    assert where == safe_next(given)


@table("where", ["https://evil.example", "//evil.example", "/runs"])
def test_redirect_after_signing_in(console: Console, where: str) -> None:
    """The form's own field is not believed either."""
    console.user({"role": "admin"})
    visitor = console.visitor()
    visitor.sign_in("ada@example.org", next=where)
    assert ["/console"] == visitor.visited


@table("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods(console: Console, filled: Connection, method: str) -> None:
    """405, with what is allowed."""
    answer = console.admin().request(method, "/console/runs")
    assert (405, "GET") == (answer.status_code, answer.headers.get("allow"))


def test_method_is_not_overridden(console: Console, filled: Connection) -> None:
    """Neither a field nor a header makes a GET of a form a change."""
    visitor = console.admin(ORG)
    query = f"_method=POST&date=2026-11-20&reason=a+reason&version=*&form_token={visitor.form_token}"
    answer = visitor.get(f"{CORRECT}?{query}", headers={"x-http-method-override": "POST"})
    assert (405, 0) == (answer.status_code, _count(filled, "contact_date_corrections"))


@table(
    ("content", "content_type"),
    [
        (b"{}", "application/json"),
        (b"form_token=x", "text/plain"),
        (b"x" * 30_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % n for n in range(50)), "application/x-www-form-urlencoded"),
        (b"\xff\xfe=\x00", "application/x-www-form-urlencoded"),
    ],
)
def test_body_that_is_no_form(console: Console, content: bytes, content_type: str) -> None:
    """Refused, without a trace of what was sent."""
    answer = console.visitor().request(
        "POST", "/console/sign-in", content=content, headers={"content-type": content_type}, follow=False
    )
    assert answer.status_code in {400, 403}


def test_link_of_another_site_opens_the_page(console: Console) -> None:
    """A browser holds strict cookies back then; a page loads itself once more, and does not ask to sign in."""
    answer = console.visitor().get("/console/runs?status=failed", headers={"sec-fetch-site": "cross-site"})
    assert '<meta http-equiv="refresh" content="0">' in answer.text
    assert 'href="/console/runs?status=failed"' in answer.text


def test_no_referrer_policy_that_hides_our_own_origin() -> None:
    """With no-referrer, browsers send "null" as the origin of our own forms."""
    assert "same-origin" == console_http.HEADERS["Referrer-Policy"]
