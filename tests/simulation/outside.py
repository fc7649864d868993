"""
The services outside of the database, as an HTTP server on loopback: SNS, SES, EventBridge Scheduler.

boto3 talks to it as to AWS. moto would do too, but takes 10 ms a mail, and the simulation sends thousands. Each
service can be down, and what it took is kept. `broken` is the URL of a scheduler function that fails.
"""

from __future__ import annotations

import base64
import email
import email.policy
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

# The error that SES answers, by the name of an outage: status and code.
MAIL_ERRORS = {
    "mail is down": (503, "InternalServiceErrorException"),
    "mail is throttled": (429, "TooManyRequestsException"),
    "mail is paused": (400, "SendingPausedException"),
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that SES took."""

    id: str
    to: str
    org: str
    text: str


class Outside:
    """The server. Use it in a `with`. `down` has the outages of now, `refused` the addresses that SES refuses."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.refused: set[str] = set()
        self.mails: list[Mail] = []
        self.published: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.schedule = (True, datetime.now(UTC))  # enabled, and since when
        # Called when a mail arrives, before it is answered; whether the mail is taken.
        self.on_mail: Callable[[], bool] | None = None
        self._count = 0
        self._lock = threading.Lock()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.broken = f"{self.url}/broken"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Outside:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> tuple[int, str, str]:
        """Status, code of the error or "", and body."""
        if path.startswith("/broken"):
            return 500, "", '{"type": "about:blank", "title": "Internal Server Error", "status": 500}'
        if path.startswith("/schedules/"):
            enabled, since = self.schedule
            state = "ENABLED" if enabled else "DISABLED"
            return 200, "", json.dumps({"State": state, "LastModificationDate": since.timestamp()})
        if path.startswith("/v2/email/"):
            return self._send_email(json.loads(body))
        return self._publish({name: values[0] for name, values in parse_qs(body.decode()).items()})

    def _send_email(self, request: dict[str, Any]) -> tuple[int, str, str]:
        to = request["Destination"]["ToAddresses"][0]
        for name, (status, code) in MAIL_ERRORS.items():
            if name in self.down:
                return status, code, '{"message": "no"}'
        if to in self.refused:
            return 400, "BadRequestException", '{"message": "no"}'
        with self._lock:
            if self.on_mail is not None and not self.on_mail():
                return 503, "InternalServiceErrorException", "{}"
            self._count += 1
            raw = base64.b64decode(request["Content"]["Raw"]["Data"]).decode()
            self.mails.append(Mail(f"mail-{self._count}", to, request["EmailTags"][0]["Value"], raw))
            return 200, "", json.dumps({"MessageId": f"mail-{self._count}"})

    def _publish(self, form: dict[str, str]) -> tuple[int, str, str]:
        if "sns" in self.down:
            error = "<Error><Type>Receiver</Type><Code>InternalError</Code><Message>no</Message></Error>"
            return 500, "", f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>"
        names = {value: key for key, value in form.items() if re.fullmatch(r"MessageAttributes\.entry\.\d+\.Name", key)}
        payload = form[names["payload"].replace(".Name", ".Value.StringValue")]
        self.published.append(json.loads(payload))
        self.texts.append(f"{form.get('Subject')} {form['Message']} {payload}")
        result = f"<PublishResult><MessageId>{escape('1')}</MessageId></PublishResult>"
        return 200, "", f"<PublishResponse>{result}<ResponseMetadata/></PublishResponse>"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outside = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, code, text = outside.answer(self.path, body)
                self.send_response(status)
                if code:
                    self.send_header("x-amzn-errortype", code)
                self.send_header("content-type", "text/xml" if text.startswith("<") else "application/json")
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        return Answers


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed does not wait for its answer."""


def words_of(mail: Mail) -> str:
    """The plain text of a mail."""
    part = email.message_from_string(mail.text, policy=email.policy.default).get_body(("plain",))
    return "" if part is None else str(part.get_content())
