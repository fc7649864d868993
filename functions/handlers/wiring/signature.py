"""
Requests signed with the function's own AWS credentials (Signature Version 4), for a Function URL with AWS_IAM.

Lambda then refuses callers that may not invoke the function before any code of ours runs, so that their requests
cannot use up its concurrency.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import get_session

from reminders.environment import Environment
from reminders.errors import SettingsError

SERVICE = "lambda"
# Of the request's own headers only these are signed: a proxy may change others on the way.
SIGNED_HEADERS = ("content-type", "x-reminder-token")


class AwsSignature(httpx.Auth):
    """Signs each request when it is sent, and each retry again: a signature is valid for 5 minutes."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region

    @classmethod
    def of_this_function(cls, env: Environment) -> AwsSignature:
        """With the credentials and the region that Lambda gives the function; raise `SettingsError` without them."""
        credentials = get_session().get_credentials()
        if credentials is None:
            raise SettingsError("REMINDER_FUNCTION_AUTH is AWS_IAM, but there are no AWS credentials to sign with")
        if not env.get("AWS_REGION"):
            raise SettingsError("REMINDER_FUNCTION_AUTH is AWS_IAM, but AWS_REGION is not set")
        return cls(credentials, env["AWS_REGION"])

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """Add the signature's headers to `request`."""
        headers = {name: request.headers[name] for name in SIGNED_HEADERS if name in request.headers}
        signed = AWSRequest(request.method, str(request.url), headers, request.content)
        SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(signed)
        request.headers.update(signed.headers.items())
        yield request
