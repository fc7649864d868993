"""The functions: what they find in their environment, how long they have, how they are invoked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest

from reminders import secrets
from reminders.limits import LIMITS
from reminders.runs.watchdog import OLDEST_LIVING_RUN
from reminders.settings import (
    AdminSettings,
    AlertSettings,
    ConsoleSettings,
    CourierSettings,
    CronSettings,
    FeedbackSettings,
    SchedulerSettings,
    UnsubscribeSettings,
    WatchdogSettings,
)
from tests.helpers.cases import table
from tests.helpers.events import SCHEDULED
from tests.helpers.transformed import run_sam_transform
from tests.template.reading import Json, source

READS: dict[str, list[Callable[[Mapping[str, str]], object]]] = {
    "CronFunction": [CronSettings.read, AlertSettings.read],
    "SchedulerFunction": [SchedulerSettings.read],
    "WatchdogFunction": [WatchdogSettings.read, AlertSettings.read],
    "AdminFunction": [AdminSettings.read, ConsoleSettings.read],
    "CourierFunction": [CourierSettings.read, AlertSettings.read],
    "FeedbackFunction": [FeedbackSettings.read],
    "UnsubscribeFunction": [UnsubscribeSettings.read],
}
# What libraries read.
LIBRARIES = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "AWS_ENDPOINT_URL"}
# What CloudFormation makes of references that have no default.
MADE = {
    "SchedulerFunctionUrl": "https://abc.lambda-url.eu-west-2.on.aws/",
    "AlertTopic": "arn:aws:sns:eu-west-2:123456789012:reminders-alerts",
    "${Schedules}/assignment-reminder-cron": "reminders/assignment-reminder-cron",
    # Messages are off by default; their functions are there when these are given.
    "EmailFrom": "reminders@example.org",
    "AppUrl": "https://app.example.org",
    "PushApplicationArns": "arn:aws:sns:eu-west-2:123456789012:app/GCM/reminders",
    "ConfigurationSet": "reminders",
    "${UnsubscribeFunctionUrl.FunctionUrl}unsubscribe": "https://def.lambda-url.eu-west-2.on.aws/unsubscribe",
    "SupabaseJwksUrl": "https://project.supabase.co/auth/v1/.well-known/jwks.json",
}


class Recorder(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_by_name = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


@table("function", READS)
def test_environment_is_what_settings_read(function: str, template: Json) -> None:
    """Every variable that settings.py reads is set, and no other; and with the defaults it can be read."""
    environment = environment_of(template, function)
    recorder = Recorder({name: value for name, value in environment.items() if name not in LIBRARIES})

    for read in READS[function]:
        read(recorder)

    assert recorder.asked | LIBRARIES == set(environment)


@table("function", READS)
def test_defaults_are_those_of_the_code(function: str, template: Json) -> None:
    """A default of the template says the same as the default of settings.py."""
    environment = environment_of(template, function)
    numbers = {name for name, value in environment.items() if value.isdigit()} | {"REMINDER_CRON_EXPRESSION"}
    bare = {name: value for name, value in environment.items() if name not in numbers}

    assert [read(bare) for read in READS[function]] == [read(environment) for read in READS[function]]


@table("service", ["secretsmanager", "sns", "scheduler"])
def test_endpoint_is_that_of_aws(service: str, template: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL is declared for `sam local invoke`; empty, as it is deployed, it changes nothing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", environment_of(template, "CronFunction")["AWS_ENDPOINT_URL"])
    make: Any = boto3.Session("key", "secret", region_name="eu-west-2").client

    assert f"https://{service}.eu-west-2.amazonaws.com" == make(service).meta.endpoint_url


def test_each_function_has_a_log_group_of_its_own(resources: Json) -> None:
    """In JSON, kept for as long as the parameter says."""
    configs = [resources[function]["Properties"]["LoggingConfig"] for function in READS]
    groups = [config["LogGroup"]["Ref"] for config in configs]

    assert {"JSON"} == {config["LogFormat"] for config in configs}
    assert sorted(LOGS) == sorted(groups)
    assert [{"Ref": "FunctionLogRetentionDays"}] * len(LOGS) == [
        resources[g]["Properties"]["RetentionInDays"] for g in groups
    ]


def test_timeouts_fit_the_budgets_of_the_code(resources: Json) -> None:
    """Each function may live as long as its code plans to, and a run never longer than the watchdog believes."""
    timeout = {name: resources[name]["Properties"]["Timeout"] for name in READS}

    assert 300 + LIMITS.reserve < timeout["CronFunction"] < OLDEST_LIVING_RUN.total_seconds()
    assert LIMITS.call_budget + LIMITS.answer_margin < timeout["SchedulerFunction"]


def test_concurrency_is_capped_but_enough_for_the_shards(template: Json) -> None:
    """The database is not flooded; an overlapping run can start, and say that it was skipped."""
    caps = {name: template["Resources"][name]["Properties"]["ReservedConcurrentExecutions"]["Fn::If"] for name in READS}

    assert {"ReservesConcurrency"} == {cap[0] for cap in caps.values()}
    assert 2 == caps["CronFunction"][1]
    # The numbers that ReserveConcurrency's description names: what is reserved, and 100 that Lambda keeps.
    messages = {"CourierFunction", "FeedbackFunction", "UnsubscribeFunction"}
    totals = [100 + sum(cap[1] for name, cap in caps.items() if name not in left) for left in (messages, set())]
    described = template["Parameters"]["ReserveConcurrency"]["Description"]
    assert f"{totals[0]} or more, {totals[1]} with messages" in described
    allowed = template["Parameters"]["SchedulerShards"]["AllowedPattern"]
    most = max(number for number in range(65) if re.fullmatch(allowed, str(number)))
    assert 16 == most < caps["SchedulerFunction"][1]


def test_schedule(resources: Json) -> None:
    """By parameters; its input says which tick it is; what cannot be handed over is kept."""
    schedule = resources["CronFunctionDaily"]["Properties"]
    target = schedule["Target"]

    assert {"Ref": "ScheduleExpression"} == schedule["ScheduleExpression"]
    assert {"Ref": "ScheduleTimezone"} == schedule["ScheduleExpressionTimezone"]
    assert {"Ref": "ScheduleState"} == schedule["State"]
    assert {"Fn::GetAtt": ["CronFunction", "Arn"]} == target["Arn"]
    assert {"Fn::GetAtt": ["DeadLetters", "Arn"]} == target["DeadLetterConfig"]["Arn"]
    assert {"MaximumRetryAttempts": 10, "MaximumEventAgeInSeconds": 3600} == target["RetryPolicy"]


@table("schedule", ["CronFunctionDaily", "WatchdogFunctionRounds", "CourierFunctionRounds"])
def test_schedule_input(schedule: str, resources: Json) -> None:
    """EventBridge Scheduler's context attributes, under the names that the handler knows."""
    given = json.loads(resources[schedule]["Properties"]["Target"]["Input"])

    assert {name: f"<aws.scheduler.{name.replace('_', '-')}>" for name in SCHEDULED} == given


def test_failed_runs_are_retried_and_kept(resources: Json) -> None:
    """Lambda's own retries, on purpose: twice, and then the dead-letter queue."""
    config = resources["CronFunctionEventInvokeConfig"]["Properties"]

    assert (2, 3600) == (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"])
    assert {"Fn::GetAtt": ["DeadLetters", "Arn"]} == config["DestinationConfig"]["OnFailure"]["Destination"]


def test_messages_are_off_by_default(template: Json) -> None:
    """Everything that messages need is under a condition, and no condition holds with the defaults."""
    parameters, resources = template["Parameters"], template["Resources"]
    conditions = {name: it.get("Condition") for name, it in resources.items()}
    messages = (
        "Courier",
        "Feedback",
        "Unsubscribe",
        "ConfigurationSet",
        "EmailEvents",
        "EndpointEvents",
        "MessageAlarms",
    )

    assert {"EmailFrom": "", "PushApplicationArns": ""} == {
        name: parameters[name]["Default"] for name in ("EmailFrom", "PushApplicationArns")
    }
    assert {"SendsMessages", "SendsEmail"} == {it for name, it in conditions.items() if name.startswith(messages)}
    assert [] == [
        name
        for name, it in conditions.items()
        if it in {"SendsMessages", "SendsEmail"} and not name.startswith(messages)
    ]


def test_courier_is_not_retried_and_feedback_is(resources: Json) -> None:
    """The courier's next round is the retry; a bounce that is not recorded is kept."""
    courier = resources["CourierFunctionEventInvokeConfig"]["Properties"]
    feedback = resources["FeedbackFunctionEventInvokeConfig"]["Properties"]

    assert (0, 2) == (courier["MaximumRetryAttempts"], feedback["MaximumRetryAttempts"])
    assert {"Fn::GetAtt": ["DeadLetters", "Arn"]} == feedback["DestinationConfig"]["OnFailure"]["Destination"]


def test_feedback_hears_of_our_own_emails_only(resources: Json) -> None:
    """SES' events of our configuration set, by the default bus."""
    [rule] = [it["Properties"] for it in resources.values() if it["Type"] == "AWS::Events::Rule"]
    mail = rule["EventPattern"]["detail"]["mail"]
    destination = resources["EmailEvents"]["Properties"]["EventDestination"]

    assert {"Ref": "AWS::StackName"} == resources["ConfigurationSet"]["Properties"]["Name"]
    assert [{"Ref": "AWS::StackName"}] == mail["tags"]["ses:configuration-set"]
    assert {each.lower() for each in rule["EventPattern"]["detail"]["eventType"]} == set(
        destination["MatchingEventTypes"]
    )
    assert destination["EventBridgeDestination"]["EventBusArn"]["Fn::Sub"].endswith(":event-bus/default")


def test_cors_is_off_unless_origins_are_named(resources: Json) -> None:
    condition, cors, otherwise = resources["AdminFunctionUrl"]["Properties"]["Cors"]["Fn::If"]

    assert ("HasOrigins", {"Ref": "AWS::NoValue"}) == (condition, otherwise)
    assert {"Ref": "AdminAllowedOrigins"} == cors["AllowOrigins"]
    assert "AllowCredentials" not in cors
    assert "Cors" not in resources["SchedulerFunctionUrl"]["Properties"]


LOGS = [name.replace("Function", "Logs") for name in READS]


def test_logs_are_kept_and_encrypted_as_parameters_say(resources: Json) -> None:
    """Retain lets them outlive the stack; a key of the operator's encrypts them, and none is needed."""
    for log in (resources[name] for name in LOGS):
        assert {"Ref": "LogsOnDelete"} == log["DeletionPolicy"] == log["UpdateReplacePolicy"]
        assert ["HasLogKey", {"Ref": "LogKeyArn"}, {"Ref": "AWS::NoValue"}] == log["Properties"]["KmsKeyId"]["Fn::If"]


def test_there_are_no_other_logs(resources: Json) -> None:
    """A new log group is in the list above, so that it follows the same parameters."""
    assert set(LOGS) == {name for name, it in resources.items() if it["Type"] == "AWS::Logs::LogGroup"}


def test_a_parameter_may_decide_on_deletion(template: Json) -> None:
    """CloudFormation reads a reference in DeletionPolicy only with this transform, and it must come before SAM's."""
    assert ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"] == source("template.yaml")["Transform"]
    assert [] == [name for name, it in template["Resources"].items() if "DependsOn" in it]


def test_traces_are_sent_when_a_parameter_says_so(resources: Json) -> None:
    """Not by default."""
    configs = [resources[function]["Properties"]["TracingConfig"] for function in READS]
    assert [{"Mode": {"Ref": "Tracing"}}] * len(READS) == configs


def test_at_rest(resources: Json) -> None:
    """Encrypted wherever it is a property; the topic with a key of the operator's, who may have none."""
    assert resources["DeadLetters"]["Properties"]["SqsManagedSseEnabled"] is True
    assert "HasTopicKey" == resources["AlertTopic"]["Properties"]["KmsMasterKeyId"]["Fn::If"][0]


def test_parameters_explain_themselves(template: Json) -> None:
    """`sam deploy --guided` asks for each; each says what it is for, and refuses what cannot be right."""
    limits = {"AllowedPattern", "AllowedValues", "MinValue"}
    vague = [name for name, it in template["Parameters"].items() if not it.get("Description") or not limits & set(it)]

    assert [] == vague
    assert [] == [name for name, it in template["Parameters"].items() if "Default" not in it]


def test_deploying_again_changes_nothing(template: Json) -> None:
    """The same template is transformed into the same resources: nothing in it depends on when it is deployed."""
    assert template == json.loads(run_sam_transform("template.yaml"))


def test_outputs_for_the_command(template: Json) -> None:
    """What the `reminders` command asks a stack for."""
    wanted = {f"{name}FunctionName" for name in ("Cron", "Scheduler", "Watchdog", "Admin")}
    wanted |= {f"{name}FunctionName" for name in ("Courier", "Feedback", "Unsubscribe")} | {"EndpointEventsTopicArn"}
    wanted |= {"AdminUrl", "SchedulerUrl", "ScheduleGroup", "ScheduleName", "AlertTopicArn", "DeadLetterQueueUrl"}

    assert wanted <= set(template["Outputs"])


def environment_of(template: Json, function: str) -> dict[str, str]:
    """The function's environment, with the parameters' defaults and made-up resources put in."""
    variables = template["Resources"][function]["Properties"]["Environment"]["Variables"]
    return {name: _resolved(template, value) for name, value in variables.items()}


def _resolved(template: Json, value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return _resolved(template, otherwise if condition == "HasSenderName" else then)
    if "Fn::Join" in value:
        return _resolved(template, value["Fn::Join"][1])
    reference = value.get("Ref") or value.get("Fn::Sub") or value["Fn::GetAtt"][0]
    parameter = template["Parameters"].get(reference, {})
    return MADE.get(reference) or str(parameter.get("Default", reference))


def test_secret_that_cannot_be_read_is_reported(resources: Json) -> None:
    """All attempts to read one, and boto3's pauses of at most 1 and 2 s between them, end before any function does."""
    attempts = secrets.ATTEMPTS * max(secrets.CONNECT_SECONDS, secrets.READ_SECONDS)
    limits = [it["Properties"]["Timeout"] for it in resources.values() if it["Type"] == "AWS::Lambda::Function"]

    assert (3, True) == (secrets.ATTEMPTS, attempts + 1 + 2 < min(limits))
