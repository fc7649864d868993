"""
The scheduler function: `POST /runs` on a Function URL, for callers that know the shared token.

On AWS the Function URL also asks for a signature (AWS_IAM). Elsewhere the token is the only protection, so it is
checked before the body is read.
"""

from __future__ import annotations

import binascii
import hmac
import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from handlers.problems import problem, validation_errors
from handlers.scheduler_body import RunsBody, answer
from handlers.wiring import startup
from handlers.wiring.common import secrets
from handlers.wiring.scheduler import scheduler_service
from reminders import telemetry
from reminders.errors import (
    AsOfRefused,
    DatabaseUnavailable,
    ReminderError,
    RunSettledElsewhere,
    SecretError,
    safe_message,
)
from reminders.limits import LIMITS, Limits
from reminders.scheduling.work import TOKEN_HEADER
from reminders.secrets import Secrets
from reminders.settings import SchedulerSettings
from reminders.telemetry import logger, metrics

# A body has six short fields, so a valid request is much smaller.
LARGEST_BODY = 16_384

startup.check(SchedulerSettings.read)

app = LambdaFunctionUrlResolver(debug=False)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext, limits: Limits = LIMITS) -> dict[str, Any]:
    """Answer one Function URL event (payload format 2.0); every refusal is a problem document."""
    app.append_context(limits=limits)  # until this request ends
    return app.resolve(event, context)


@app.post("/runs")
def runs() -> dict[str, Any] | Response[str]:
    """Process one call of a run, and return how far it got."""
    try:
        settings = SchedulerSettings.read(os.environ)
        allowed = _token_is_right(secrets(), settings.token_secret, _token_of(app.current_event.headers))
    except ReminderError as error:
        # The caller is not authenticated yet, so the response does not name the secret or setting that is wrong.
        return _failure(error, detail=None)
    if not allowed:
        return problem(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    if len(app.current_event.body or "") > LARGEST_BODY:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {LARGEST_BODY:,} characters")
    body = RunsBody.model_validate_json(_decoded_body())
    logger.append_keys(run_id=body.run_id and str(body.run_id))
    with scheduler_service(settings.database_secret, settings.batch_size, app.context["limits"]) as service:
        result = service.work(body.request(), body.budget_ms / 1000)
    logger.info("shard processed", extra={"shard": body.shard.index, "evaluated": result.counts.evaluated})
    return answer(result, dry_run=body.dry_run)


def _decoded_body() -> str:
    """The body as text. Empty if its Base64 or UTF-8 is broken, so that it is refused because it is not JSON."""
    try:
        return app.current_event.decoded_body or ""
    except ValueError:
        return ""


def _token_of(headers: Mapping[str, str]) -> str | None:
    """The bearer token. Or `X-Reminder-Token`, if the call is signed and `Authorization` has the signature."""
    authorization = headers.get("authorization", "")
    if authorization.startswith("Bearer "):
        return authorization.removeprefix("Bearer ")
    return headers.get(TOKEN_HEADER)


def _token_is_right(known: Secrets, name: str, given: str | None) -> bool:
    """Compare in constant time. If it differs, fetch the secret again, because it may have been rotated."""
    if given is None:
        return False
    encoded = given.encode("utf-8", "surrogatepass")
    token = known.get(name)
    if hmac.compare_digest(encoded, token.encode()):
        return True
    rotated = known.newer(name, than=token)
    return rotated is not None and hmac.compare_digest(encoded, rotated.encode())


@app.exception_handler(ValidationError)
def _invalid(error: ValidationError) -> Response[str]:
    # Without the input: a response must not repeat the caller's input.
    errors = validation_errors(error.errors(include_url=False, include_context=False, include_input=False))
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is not valid", errors=errors)


@app.exception_handler([UnicodeError, binascii.Error])
def _unreadable(_: Exception) -> Response[str]:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body is not UTF-8 text")


@app.exception_handler(AsOfRefused)
def _as_of_refused(error: AsOfRefused) -> Response[str]:
    errors = [{"field": "as_of", "message": str(error)}]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors=errors)


@app.exception_handler(RunSettledElsewhere)
def _fenced(error: RunSettledElsewhere) -> Response[str]:
    return problem(HTTPStatus.CONFLICT, str(error))


@app.exception_handler(ReminderError)
def _failed(error: ReminderError) -> Response[str]:
    # The caller has the token, and writes this into the ledger.
    return _failure(error, detail=safe_message(error))


def _failure(error: ReminderError, detail: str | None) -> Response[str]:
    logger.error("work failed", extra={"reason": safe_message(error)})
    temporary = isinstance(error, DatabaseUnavailable | SecretError)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE if temporary else HTTPStatus.INTERNAL_SERVER_ERROR, detail)


@app.exception_handler(Exception)
def _unexpected_error(error: Exception) -> Response[str]:
    telemetry.log_unexpected_error("work failed unexpectedly", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, safe_message(error))


@app.not_found
def _not_found(_: NotFoundError) -> Response[str]:
    if app.current_event.path == "/runs":
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "POST"})
    return problem(HTTPStatus.NOT_FOUND)
