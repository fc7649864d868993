"""Calls of the scheduler that are signed: the signature is worked out once more, by the text of AWS's documentation."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import stamina
from botocore import auth
from botocore.credentials import Credentials

from handlers.wiring import signature
from handlers.wiring.signature import AwsSignature
from reminders.errors import SettingsError
from reminders.scheduling.client import ATTEMPTS, HttpScheduler
from tests.unit.scheduling.fake_service import DONE, WORK, FakeService, raw, result

KEY, SECRET, SESSION, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", "session token", "eu-west-2"
Headers = dict[str, str]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def scheduler(service: FakeService) -> Iterator[HttpScheduler]:
    signed = AwsSignature(Credentials(KEY, SECRET, SESSION), REGION)
    with httpx.Client() as http, stamina.set_testing(True, attempts=ATTEMPTS, cap=True):
        yield HttpScheduler(service.url, "s3cret", lambda: "rotated", http, time.monotonic, signature=signed)


def expected_authorization(headers: Headers, host: str, body: bytes) -> str:
    """IAM User Guide, "Create a signed AWS API request", for `POST /runs`."""
    moment = headers["x-amz-date"]
    signed = {
        "content-type": "application/json",
        "host": host,
        "x-amz-date": moment,
        "x-amz-security-token": SESSION,
        "x-reminder-token": headers["x-reminder-token"],
    }
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    request = f"POST\n/runs\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{REGION}/lambda/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    proof = hmac.digest(key, text.encode(), "sha256").hex()
    return f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={proof}"


def calls(service: FakeService) -> list[tuple[Headers, bytes]]:
    """Headers by their names in lower case, and the body as it was sent."""
    return [
        ({k.lower(): v for k, v in headers.items()}, json.dumps(body).encode()) for _, headers, body in service.requests
    ]


def test_signature(service: FakeService, scheduler: HttpScheduler) -> None:
    """Host, body and token are signed with the function's credentials, and the token has a header of its own."""
    scheduler(WORK, time.monotonic() + 10)
    ((headers, body),) = calls(service)
    assert expected_authorization(headers, service.url.removeprefix("http://"), body) == headers["authorization"]
    assert "s3cret" == headers["x-reminder-token"]


def test_retry_is_signed_anew(service: FakeService, scheduler: HttpScheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry has the time at which it is sent; a token that was rotated is signed as well."""
    moments = iter(datetime(2026, 11, 25, 6, tzinfo=UTC) + timedelta(minutes=4 * n) for n in range(9))
    monkeypatch.setattr(auth, "get_current_datetime", lambda: next(moments))
    service.answers = [raw(b"", 503), raw(b"", 401), result(DONE)]
    scheduler(WORK, time.monotonic() + 10)
    sent = calls(service)
    host = service.url.removeprefix("http://")
    assert ["s3cret", "s3cret", "rotated"] == [headers["x-reminder-token"] for headers, _ in sent]
    assert 3 == len({headers["x-amz-date"] for headers, _ in sent})
    for headers, body in sent:
        assert expected_authorization(headers, host, body) == headers["authorization"]


def test_function_that_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda's own credentials and region; without a region it says so."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SESSION,
    }.items():
        monkeypatch.setenv(name, value)
    (request,) = AwsSignature.of_this_function({"AWS_REGION": REGION}).auth_flow(
        httpx.Request("POST", "https://x/runs")
    )
    assert f"Credential={KEY}/" in request.headers["authorization"]
    assert f"/{REGION}/lambda/aws4_request" in request.headers["authorization"]
    with pytest.raises(SettingsError, match=r"AWS_REGION is not set$"):
        AwsSignature.of_this_function({})


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to sign with is named before a call is made."""

    class Session:
        def get_credentials(self) -> None:
            return None

    monkeypatch.setattr(signature, "get_session", Session)
    with pytest.raises(SettingsError, match="there are no AWS credentials to sign with"):
        AwsSignature.of_this_function({"AWS_REGION": REGION})
