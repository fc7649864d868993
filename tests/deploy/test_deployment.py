"""A deployment played through: what the template makes fits together, and every sample event runs in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reminders.runs.events import RunRequest, parse_event
from tests import tokens
from tests.deploy.cloud import BY_API, NESTED, STACK, unresolved
from tests.deploy.conftest import EVENTS, HANDLERS, RUNBOOK_URL, Deployed, Outcome, Sample
from tests.deploy.policies import action_and_resource, allowing, listed
from tests.helpers.cases import table
from tests.helpers.transformed import transform_template

# What a role allows although our code never asks for it: who does, and why the function's role must allow it.
NOT_BY_OUR_CODE = {
    "logs:CreateLogStream": "Lambda writes the log as the function",
    "logs:PutLogEvents": "Lambda writes the log as the function",
    "sqs:SendMessage": "Lambda sends an event that failed three times to the queue as the function",
    "lambda:InvokeFunctionUrl": "a signed HTTP request, which is no call of boto3",
    "lambda:InvokeFunction": "a signed HTTP request, which is no call of boto3",
}


def test_every_reference_is_resolved(deployed: Deployed) -> None:
    """No Ref, GetAtt, Sub or condition is left, in whatever moto made or we made by API."""
    assert [] == [where for name, it in deployed.cloud.resources.items() for where in unresolved(it, name)]


def test_what_moto_cannot_make_is_listed(deployed: Deployed) -> None:
    """moto has learned one of these types, or the template has a type that neither makes."""
    from moto.cloudformation.parsing import resource_class_from_type

    templates = [deployed.cloud.template, *map(transform_template, NESTED)]
    types = {resource["Type"] for template in templates for resource in template["Resources"].values()}

    assert set(BY_API) == {kind for kind in types if resource_class_from_type(kind) is None}


@table(("name", "function"), [("assignment-reminder-cron", "cron"), ("assignment-reminder-watchdog", "watchdog")])
def test_a_schedule_invokes_its_function(name: str, function: str, deployed: Deployed) -> None:
    """The target exists, and the schedule's role may invoke it."""
    target = deployed.cloud.schedule(name)["Target"]
    found = deployed.cloud.aws.client("lambda").get_function_configuration(FunctionName=target["Arn"])
    role = deployed.cloud.resources["ScheduleRole"]["Policies"][0]["PolicyDocument"]["Statement"]

    assert (f"{STACK}-{function}", HANDLERS[function].replace(":", ".")) == (found["FunctionName"], found["Handler"])
    assert ["lambda:InvokeFunction"] == allowing(role, "lambda:InvokeFunction", target["Arn"])


def test_the_schedules_input_is_a_run_of_its_tick(deployed: Deployed) -> None:
    """What EventBridge Scheduler puts in the place of its attributes is what the cron handler reads."""
    event = delivered(deployed.cloud.schedule("assignment-reminder-cron"), datetime(2026, 11, 21, 6, tzinfo=UTC))
    request = parse_event(event)

    assert isinstance(request, RunRequest)
    assert ("schedule", datetime(2026, 11, 21, 6, tzinfo=UTC), False) == (
        request.trigger,
        request.scheduled_for,
        request.dry_run,
    )


def test_the_daily_run_works_in_the_deployment(deployed: Deployed) -> None:
    """From the schedule's input to the ledger, with the environment that CloudFormation made."""
    event = delivered(deployed.cloud.schedule("assignment-reminder-cron"), just_now(seconds=30))

    assert "success" == deployed.invoke("cron", event).answer["status"]


# The status of a run, or of an HTTP answer. Tokens in the samples are placeholders: refused, as they should be.
SAMPLES = {
    "admin-function-url": 401,
    "cron-console": "success",
    "cron-dry-run": "success",
    "cron-rule": "success",
    "cron-scheduler": "success",
    "cron-scheduler-without-input": "success",
    "cron-test-alert": "success",
    "scheduler-function-url": 401,
    "watchdog-scheduler": None,
}


def test_every_sample_event_is_run() -> None:
    """A new file in infra/events gets a line in the table above. This deployment sends no messages."""
    messages = ("courier-", "feedback-", "unsubscribe-")
    assert set(SAMPLES) == {path.stem for path in EVENTS.glob("*.json") if not path.stem.startswith(messages)}


@table("name", SAMPLES)
def test_a_sample_event_runs_as_it_is(name: str, deployed: Deployed, sample: Sample) -> None:
    """Pasted into the console's test event, each is understood by its function."""
    answer = deployed.invoke(name.partition("-")[0], sample(name)).answer

    assert "errorType" not in answer, answer
    assert SAMPLES[name] == answer.get("status", answer.get("statusCode"))


@pytest.mark.matrix
def test_the_endpoints_samples_work_with_a_token(deployed: Deployed, sample: Sample) -> None:
    """With the shared token and with an admin's in the place of the placeholder."""
    made = outcomes(deployed, sample)
    assert [200, 200] == [made[function][0].answer["statusCode"] for function in ("scheduler", "admin")]


def test_an_alert_names_the_stack_and_links_to_the_runbook(deployed: Deployed, sample: Sample) -> None:
    """By e-mail and by Slack: staging and production cannot be mistaken for each other."""
    topic = deployed.cloud.environment("cron")["ALERT_TOPIC_ARN"]
    assert "success" == deployed.invoke("cron", sample("cron-test-alert")).answer["status"]
    mail = deployed.cloud.aws.published(topic)[-1]
    post = json.dumps(deployed.slack.posted[-1])

    assert f"[test] [{STACK}] " in (mail.subject or "")
    assert mail.message.endswith(f"Runbook: {RUNBOOK_URL}")
    assert f"[test] [{STACK}] " in post
    assert f"<{RUNBOOK_URL}|Runbook>" in post


@pytest.mark.matrix
def test_alarms_watch_what_is_emitted(deployed: Deployed, sample: Sample) -> None:
    """Namespace, name and dimensions of each alarm on a metric of ours are those that a function printed."""
    emitted = {
        (namespace, metric["Name"], tuple((name, line[name]) for name in names))
        for outcome in outcomes(deployed, sample).values()
        for one in outcome
        for line in one.metrics
        for block in line["_aws"]["CloudWatchMetrics"]
        for namespace in [block["Namespace"]]
        for names in block["Dimensions"]
        for metric in block["Metrics"]
    }
    watched = {
        (it["Namespace"], it["MetricName"], tuple((d["Name"], d["Value"]) for d in it["Dimensions"]))
        for it in deployed.cloud.alarms()
        if it.get("Namespace") == "AssignmentReminders"
    }

    assert 3 <= len(watched)
    assert set() == watched - emitted


def test_alarms_watch_functions_and_queue_that_exist(deployed: Deployed) -> None:
    """AWS' own metrics: a misspelled dimension would be an alarm that never fires."""
    functions = {it["FunctionName"] for it in deployed.cloud.aws.client("lambda").list_functions()["Functions"]}
    queues = {url.rpartition("/")[2] for url in deployed.cloud.aws.client("sqs").list_queues()["QueueUrls"]}
    dimensions = [d for it in deployed.cloud.alarms() for d in dimensions_of(it)]

    assert {"service", "FunctionName", "QueueName"} == {d["Name"] for d in dimensions}
    assert {d["Value"] for d in dimensions if d["Name"] == "FunctionName"} <= functions
    assert {d["Value"] for d in dimensions if d["Name"] == "QueueName"} <= queues


def test_alarms_tell_the_topic(deployed: Deployed) -> None:
    """The same that alerts go to, and that the operators have subscribed to."""
    topic = deployed.cloud.environment("cron")["ALERT_TOPIC_ARN"]
    found = deployed.cloud.aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]

    assert {topic} == {action for alarm in deployed.cloud.alarms() for action in alarm["AlarmActions"]}
    assert ["operators@example.org"] == [subscription["Endpoint"] for subscription in found]


@pytest.mark.matrix
def test_each_role_allows_what_its_function_calls_and_nothing_more(deployed: Deployed, sample: Sample) -> None:
    """Every call that the functions made is allowed on its very resource; no action is left that none of them needs."""
    missing, unused = [], []
    for function, ran in outcomes(deployed, sample).items():
        statements = deployed.cloud.policy(function)
        used = set(NOT_BY_OUR_CODE)
        for service, operation, parameters in (call for one in ran for call in one.calls):
            asked = action_and_resource(deployed.cloud.aws, service, operation, parameters)
            by = allowing(statements, *asked)
            missing += [] if by else [(function, *asked)]
            used |= set(by)
        unused += [(function, a) for s in statements for a in listed(s["Action"]) if a not in used]

    assert ([], []) == (missing, unused)


@pytest.mark.matrix
def test_each_role_reads_every_secret_it_may_read(deployed: Deployed, sample: Sample) -> None:
    """A secret that a role may read and its function never reads would be one too many."""
    for function, ran in outcomes(deployed, sample).items():
        read = {
            action_and_resource(deployed.cloud.aws, *call)[1]
            for one in ran
            for call in one.calls
            if call[0] == "secretsmanager"
        }
        allowed = [
            resource
            for s in deployed.cloud.policy(function)
            for resource in listed(s["Resource"])
            if ":secret:" in resource
        ]
        assert len(read) == len(allowed), function


@pytest.mark.matrix
@table("function", HANDLERS)
def test_a_policy_is_no_more_than_the_matcher_reads(function: str, deployed: Deployed) -> None:
    """Allow, Action, Resource: a Deny, a NotAction or a condition would need a real engine here."""
    for statement in deployed.cloud.policy(function):
        # The scheduler's URL is called by signed HTTP, which is not among the calls that are matched.
        condition = {"Condition"} if all(a.startswith("lambda:Invoke") for a in listed(statement["Action"])) else set()
        assert {"Sid", "Effect", "Action", "Resource"} == set(statement) - condition
        assert "Allow" == statement["Effect"]


@pytest.mark.matrix
@table(
    ("action", "resource", "expected"),
    [
        (
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:r:1:secret:a-AbC123",
            ["secretsmanager:GetSecretValue"],
        ),
        ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:r:1:secret:a-longer-AbC123", []),
        ("secretsmanager:PutSecretValue", "arn:aws:secretsmanager:r:1:secret:a-AbC123", []),
    ],
)
def test_the_matcher_can_say_no(action: str, resource: str, expected: list[str]) -> None:
    """Another action, and another secret whose name begins alike, are not allowed."""
    arn = "arn:aws:secretsmanager:r:1:secret:a-??????"
    statement = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}

    assert expected == allowing([statement], action, resource)


_outcomes: dict[str, list[Outcome]] = {}


def outcomes(deployed: Deployed, sample: Sample) -> dict[str, list[Outcome]]:
    """Each function's invocations that together use all it has: it works, it fails, it alerts. Made once."""
    if not _outcomes:
        scheduler, admin = endpoint_calls(deployed, sample)
        _outcomes["cron"] = [
            deployed.invoke("cron", {}),
            deployed.invoke("cron", sample("cron-test-alert")),
            deployed.invoke("cron", {}, REMINDER_FUNCTION_URL="http://127.0.0.1:1"),
        ]
        _outcomes["scheduler"] = [scheduler]
        works = deployed.invoke("watchdog", sample("watchdog-scheduler"))
        with deployed.database_away():
            _outcomes["watchdog"] = [works, deployed.invoke("watchdog", {})]
        _outcomes["admin"] = [admin]
    return _outcomes


def endpoint_calls(deployed: Deployed, sample: Sample) -> tuple[Outcome, Outcome]:
    """Scheduler and admin, called with tokens that they take."""
    token = deployed.cloud.aws.client("secretsmanager").get_secret_value(SecretId=deployed.secrets["scheduler-token"])
    work, history = sample("scheduler-function-url"), sample("admin-function-url")
    work["headers"]["authorization"] = f"Bearer {token['SecretString']}"
    history["headers"]["authorization"] = f"Bearer {tokens.signed(tokens.claims())}"
    return deployed.invoke("scheduler", work), deployed.invoke("admin", history)


def delivered(schedule: Any, at: datetime) -> Any:
    """The event that EventBridge Scheduler makes of a schedule's input."""
    attributes = {
        "scheduled-time": at.isoformat().replace("+00:00", "Z"),
        "execution-id": "d32c5kddcf5bb8c3",
        "attempt-number": "1",
        "schedule-arn": schedule["Arn"],
    }
    text = schedule["Target"]["Input"]
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return json.loads(text)


def just_now(seconds: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)


def dimensions_of(alarm: Any) -> list[Any]:
    of_metrics = [m["MetricStat"]["Metric"] for m in alarm.get("Metrics", []) if "MetricStat" in m]
    return [d for it in [alarm, *of_metrics] for d in it.get("Dimensions", [])]
