"""
The admin function: the run history and the correction of a contact date, on a Function URL. `/console` is
`handlers.console`.

    token? ──no──▶ 401      admin? ──no──▶ 403      then the request is processed

The caller is checked before path, parameters and body, so a caller without rights learns nothing from the responses.
"""

from __future__ import annotations

import binascii
import os
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
    OpenAPIResponseValidationMiddleware,
)
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from handlers import admin_api
from handlers.admin_api import AssignmentIdParam, CorrectionAnswer, CorrectionBody, Limit, RunsAnswer, Status, Uuid
from handlers.problems import problem, validation_errors
from handlers.wiring import startup
from handlers.wiring.admin import admin_connection, identity
from reminders import telemetry
from reminders.contacts import correction
from reminders.contacts.correction import ANY_VERSION, VersionConflict
from reminders.errors import (
    AssignmentNotFound,
    DatabaseUnavailable,
    DateRefused,
    IdentityError,
    IdentityUnavailable,
    ReminderError,
    SecretError,
    safe_message,
)
from reminders.identity import Caller
from reminders.runs import history
from reminders.settings import AdminSettings, ConsoleSettings
from reminders.telemetry import logger, metrics

OPENAPI = "/openapi.json"
CONSOLE = "/console"
LARGEST_BODY = 16_384
METHODS = {"/runs": "GET", OPENAPI: "GET"}
_TEMPORARY = (DatabaseUnavailable, SecretError, IdentityUnavailable)

startup.check(AdminSettings.read, ConsoleSettings.read)

app = LambdaFunctionUrlResolver(debug=False)
app.configure_openapi(
    title=admin_api.TITLE,
    version="1.0.0",
    description=admin_api.DESCRIPTION,
    security_schemes={"supabase": HTTPBearer(bearerFormat="JWT", description="A Supabase access token")},
    security=[{"supabase": []}],
)


@logger.inject_lambda_context(clear_state=True, log_event=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one Function URL event (payload format 2.0); outside of the console, every error is a problem document."""
    if _is_console(event.get("rawPath", "")):
        # Imported here, because the JSON endpoints need no templates, and loading them would slow their cold start.
        from handlers import console

        return console.handle(event, context)
    return app.resolve(event, context)


def _is_console(path: str) -> bool:
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


def _authenticate(resolver: LambdaFunctionUrlResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Authenticate and authorise the caller, and hand them and the settings to the route. Or respond with an error."""
    event = resolver.current_event
    if event.path == OPENAPI:
        return next_middleware(resolver)
    settings = AdminSettings.read(os.environ)
    try:
        caller = identity(settings).caller(event.headers.get("authorization", ""))
    except IdentityError as error:
        logger.info("token refused", extra={"reason": safe_message(error)})
        return problem(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    if not caller.is_admin:
        return problem(HTTPStatus.FORBIDDEN, "the caller is not an admin")
    if settings.require_aal2 and not caller.has_second_factor:
        return problem(HTTPStatus.FORBIDDEN, "a second factor is needed: sign in again and confirm it")
    if len(event.body or "") > LARGEST_BODY:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {LARGEST_BODY:,} characters")
    resolver.append_context(caller=caller, settings=settings)
    return next_middleware(resolver)


# Not `enable_validation`: Powertools would then validate a request before it calls a middleware of ours.
app.use([_authenticate, OpenAPIRequestValidationMiddleware(), OpenAPIResponseValidationMiddleware()])


@app.get(
    "/runs",
    summary="The run history, newest first",
    operation_id="listRuns",
    responses={200: {"description": "A page of runs", "content": {"application/json": {"model": RunsAnswer}}}}
    | admin_api.EVERYWHERE,
)
def runs(
    limit: Annotated[Limit, Query(description="How many at most")] = 20,
    before: Annotated[Uuid | None, Query(description="`next_before` of the page before")] = None,
    status: Annotated[Status | None, Query(description="Only runs with this status")] = None,
) -> RunsAnswer:
    """One page of the ledger, as the caller's row level security shows it."""
    _reject_unknown_parameters("limit", "before", "status")
    with admin_connection(_settings()) as connection:
        found = history.page(connection, _caller(), limit=limit, before=before, status=status and status.value)
    return RunsAnswer.model_validate(found)


@app.patch(
    "/assignments/<assignment_id>/last-contact-date",
    summary="Correct the date of the last contact",
    operation_id="correctLastContactDate",
    responses={
        200: {
            "description": "The current correction; `ETag` is the date's new version",
            "content": {"application/json": {"model": CorrectionAnswer}},
        }
    }
    | admin_api.EVERYWHERE
    | admin_api.problems(
        NOT_FOUND="the caller's organisations have no such assignment",
        PRECONDITION_FAILED="the date has changed; `ETag` is its current version",
        REQUEST_ENTITY_TOO_LARGE="the body is too large",
        UNSUPPORTED_MEDIA_TYPE="the body is not JSON",
    ),
)
def correct(
    assignment_id: Annotated[AssignmentIdParam, Path(description="The assignment's id")],
    body: Annotated[CorrectionBody, Body()],
    if_match: Annotated[
        str,
        Header(
            alias="If-Match",
            description='The date to be replaced, in quotes ("2026-11-01", "never", "infinity"), or *: any',
        ),
    ] = ANY_VERSION,
) -> Response[CorrectionAnswer]:
    """
    Correct the contact date and record who and why.

    With If-Match, another admin's change is not overwritten. The call may be repeated.
    """
    _reject_unknown_parameters()
    request = correction.Request(assignment_id, body.last_contact_date, body.reason, _versions(if_match))
    with admin_connection(_settings()) as connection:
        made = correction.correct(connection, _caller(), request)
    return Response(
        status_code=HTTPStatus.OK,
        content_type=content_types.APPLICATION_JSON,
        body=CorrectionAnswer.model_validate(made),
        headers={"ETag": _etag(correction.version(made.new_date))},
    )


@app.get(OPENAPI, include_in_schema=False)
def openapi() -> Response[str]:
    """The OpenAPI 3.1 description of this API."""
    return Response(HTTPStatus.OK, content_types.APPLICATION_JSON, app.get_openapi_json_schema())


def _reject_unknown_parameters(*known: str) -> None:
    """Refuse unknown parameters: if a misspelt one were ignored, the result would be wrong without an error."""
    unknown = sorted(set(app.current_event.query_string_parameters or {}) - set(known))
    if unknown:
        raise RequestValidationError(
            [{"loc": ("query", name), "msg": "there is no such parameter"} for name in unknown]
        )


def _caller() -> Caller:
    caller: Caller = app.context["caller"]
    return caller


def _settings() -> AdminSettings:
    settings: AdminSettings = app.context["settings"]
    return settings


def _etag(version: str) -> str:
    return f'"{version}"'


def _versions(if_match: str) -> frozenset[str]:
    """The header's entity tags without their quotes (RFC 9110, section 13.1.1)."""
    return frozenset(tag.strip().strip('"') for tag in if_match.split(",") if tag.strip())


@app.exception_handler(RequestValidationError)
def _invalid(error: RequestValidationError) -> Response[str]:
    errors = validation_errors(error.errors())
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the request is not valid", errors=errors)


@app.exception_handler([UnicodeError, binascii.Error, RecursionError])
def _unreadable(_: Exception) -> Response[str]:
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body cannot be read as JSON")


@app.exception_handler(RequestUnsupportedContentType)
def _not_json(_: RequestUnsupportedContentType) -> Response[str]:
    return problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")


@app.exception_handler(AssignmentNotFound)
def _no_assignment(error: AssignmentNotFound) -> Response[str]:
    return problem(HTTPStatus.NOT_FOUND, str(error))


@app.exception_handler(DateRefused)
def _refused(error: DateRefused) -> Response[str]:
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        str(error),
        errors=[{"field": "body.last_contact_date", "message": str(error)}],
    )


@app.exception_handler(VersionConflict)
def _precondition_failed(error: VersionConflict) -> Response[str]:
    headers = {"ETag": _etag(error.version)} if error.version else {}
    return problem(HTTPStatus.PRECONDITION_FAILED, str(error), headers)


@app.exception_handler(ReminderError)
def _failed(error: ReminderError) -> Response[str]:
    # Without detail: names of secrets and settings are for the log.
    logger.error("request failed", extra={"reason": safe_message(error)})
    temporary = isinstance(error, _TEMPORARY)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE if temporary else HTTPStatus.INTERNAL_SERVER_ERROR)


@app.exception_handler(Exception)
def _unexpected_error(error: Exception) -> Response[str]:
    telemetry.log_unexpected_error("request failed unexpectedly", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR)


@app.not_found
def _not_found(_: NotFoundError) -> Response[str]:
    path = app.current_event.path
    allowed = METHODS.get(path) or ("PATCH" if path.endswith("/last-contact-date") else None)
    if allowed and app.current_event.http_method != allowed:
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": allowed})
    return problem(HTTPStatus.NOT_FOUND)
