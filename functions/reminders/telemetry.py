"""
Logs and metrics, by Powertools: JSON lines and CloudWatch's embedded metric format, both on stdout.

All packages use one logger, so that the `run_id` that a run appends is on every line until the run ends.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
import warnings

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

# Powertools' own variables: two deployments in one account must not count into the same metric, or one
# that works would hide one that does not.
SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME") or "assignment-reminders"
NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or "AssignmentReminders"


def _level() -> str:
    """The level in the environment; INFO if it is not a level, which the start of a function refuses."""
    level = os.environ.get("POWERTOOLS_LOG_LEVEL", "").upper()
    return level if level in logging.getLevelNamesMapping() else "INFO"


def _log_line(line: object) -> str:
    """ASCII only: a terminal obeys no character of it, and no viewer splits the line."""
    return json.dumps(line, default=str, separators=(",", ":"))


logger = Logger(service=SERVICE, level=_level(), json_serializer=_log_line)
metrics = Metrics(namespace=NAMESPACE, service=SERVICE)

# httpx logs every request's URL at INFO, and a webhook's URL is a secret; botocore logs every answer at DEBUG,
# and Secrets Manager's are secrets; Powertools logs what a route was called with, where POWERTOOLS_DEBUG is set.
# Lambda's own handler is attached to the root logger, so Powertools' level does not protect us.
for chatty in ("aws_lambda_powertools", "httpx", "httpcore", "boto3", "botocore", "urllib3", "psycopg"):
    logging.getLogger(chatty).setLevel(logging.WARNING)


def log_unexpected_error(message: str, error: BaseException) -> None:
    """
    Log the class of an unexpected error, and where it was raised.

    Not its text, which Logger.exception would log: it may quote the caller's input, or a row.
    """
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error(message, extra={"error": type(error).__name__, "where": frames[-10:]})


def count(**counts: int) -> None:
    """Add metrics with unit Count: `count(RunsSucceeded=1)`."""
    for name, value in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def duration(name: str, milliseconds: float) -> None:
    """Add one duration metric, in milliseconds."""
    metrics.add_metric(name=name, unit=MetricUnit.Milliseconds, value=milliseconds)


# An invocation without metrics (a refused event, say) is nothing to warn about on every log.
warnings.filterwarnings("ignore", message="No application metrics to publish")
