"""A deployed stack as a target; names come from the stack's outputs (template.yaml)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from ops.cli.errors import UNREACHABLE, WRONG_USE, CliError
from ops.cli.function_log import error_of, log_lines
from ops.cli.targets.base import MESSAGE_FUNCTIONS, Failures, InvocationResult, Target, TargetOptions

# Lambda's longest run, and some seconds for the answer.
LONGEST_RUN_SECONDS = 910
# CloudWatch: GetMetricStatistics gives 1,440 datapoints, a day of minutes.
LONGEST_METRIC = timedelta(hours=23)


class Deployed(Target):
    """The CloudFormation stack `name`, in the account and region that the environment chooses."""

    def __init__(self, name: str, options: TargetOptions) -> None:
        super().__init__(options)
        self.title = (
            f"stack {name}, {os.environ.get('AWS_REGION') or os.environ.get('AWS_DEFAULT_REGION') or 'default region'}"
        )
        self._name = name
        self._environments: dict[str, dict[str, str]] = {}

    @cached_property
    def outputs(self) -> dict[str, str]:
        """By output key; raise `CliError` when there is no such stack."""
        from botocore.exceptions import ClientError

        try:
            found = self.client("cloudformation").describe_stacks(StackName=self._name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                hint = "`aws cloudformation describe-stacks` lists them; is AWS_REGION right?"
                raise CliError(f"There is no stack {self._name!r} here.", hint, UNREACHABLE) from None
            raise
        return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}

    def output(self, key: str) -> str:
        if key not in self.outputs:
            raise CliError(
                f"The stack {self._name!r} has no output {key}.", "Deploy the current template.", UNREACHABLE
            )
        return self.outputs[key]

    @property
    def schedule_name(self) -> str:
        return self.output("ScheduleName")

    def aws(self) -> dict[str, Any]:
        # boto3 reads AWS_DEFAULT_REGION only; AWS' other tools read this name too.
        return {"region_name": os.environ.get("AWS_REGION")}

    def function_name(self, function: str) -> str:
        return self.output(f"{function.title()}FunctionName")

    def failures(self, since: datetime) -> Failures:
        """Lambda's own count (CloudWatch, AWS/Lambda, Errors), which is about two minutes late."""
        now = datetime.now(UTC)
        # In whole minutes, as the metric has them; failures in the minute of the last success are not counted.
        start = max(since, now - LONGEST_METRIC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        if start >= now:
            return Failures()
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Dimensions=[{"Name": "FunctionName", "Value": self.function_name("cron")}],
            StartTime=start,
            EndTime=now,
            Period=60,
            Statistics=["Sum"],
        )
        return Failures(round(sum(point["Sum"] for point in found["Datapoints"])))

    def log_lines(self, function: str, since: datetime) -> list[dict[str, Any]]:
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=f"/aws/lambda/{self.function_name(function)}",
                filterPattern='{ $.level = "ERROR" || $.level = "WARNING" || $.errorType = "*" }',
                startTime=int(since.timestamp() * 1000),
            )
        )
        return log_lines(event["message"] for page in pages for event in page["events"])

    def environment(self, function: str) -> Mapping[str, str]:
        if function in MESSAGE_FUNCTIONS and f"{function.title()}FunctionName" not in self.outputs:
            return {}
        if function not in self._environments:
            name = self.function_name(function)
            found = self.client("lambda").get_function_configuration(FunctionName=name)
            self._environments[function] = found.get("Environment", {}).get("Variables", {})
        return self._environments[function]

    def invoke(self, event: Mapping[str, Any], *, wait: bool = True) -> InvocationResult:
        # One attempt: after a time-out, boto3 would start a second run.
        limits = {"read_timeout": LONGEST_RUN_SECONDS, "retries": {"total_max_attempts": 1}}
        answer = self.client("lambda", **limits).invoke(
            FunctionName=self.function_name("cron"),
            InvocationType="RequestResponse" if wait else "Event",
            Payload=json.dumps(event).encode(),
        )
        if not wait:
            return InvocationResult()
        result = json.loads(answer["Payload"].read() or b"{}")
        if answer.get("FunctionError"):
            return InvocationResult(error=error_of(result))
        return InvocationResult(result)

    def database_url(self) -> str:
        if self.options.database:
            return self.options.database
        secret = self.options.database_secret or os.environ.get("REMINDERS_DATABASE_SECRET")
        if secret:
            return self.secret(secret)
        if url := os.environ.get("DATABASE_URL"):
            return url
        _ = self.outputs  # if the stack does not exist, that is the better error
        hint = "Set DATABASE_URL to the operator's libpq URI, or name a secret that holds it with --database-secret."
        raise CliError("The database of this stack is not known.", hint, WRONG_USE)
