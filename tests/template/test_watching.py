"""Alarms and dashboard: they ask for metrics that exist, and missing data is an alarm only where it is a failure."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.helpers.cases import table
from tests.template.reading import Json, walk

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
MISSING = {
    "CronErrors": "notBreaching",
    "NoSuccessfulRun": "breaching",
    "SchedulerErrors": "notBreaching",
    "WatchdogSilent": "breaching",
    "WatchdogErrors": "notBreaching",
    "DeadLettersWaiting": "notBreaching",
    "CronThrottles": "notBreaching",
    "SchedulerThrottles": "notBreaching",
    "WatchdogThrottles": "notBreaching",
    "AdminErrors": "notBreaching",
    "AdminThrottles": "notBreaching",
    "SchedulerRefusals": "notBreaching",
    "AdminRefusals": "notBreaching",
    "AssignmentsFailed": "notBreaching",
    "CourierErrors": "notBreaching",
    "CourierSilent": "breaching",
    "MessagesLate": "notBreaching",
    "MessagesFailed": "notBreaching",
    "BounceRate": "notBreaching",
    "ComplaintRate": "notBreaching",
    "FeedbackErrors": "notBreaching",
    "UnsubscribeErrors": "notBreaching",
    "CourierThrottles": "notBreaching",
    "FeedbackThrottles": "notBreaching",
    "UnsubscribeThrottles": "notBreaching",
    "UnsubscribeRefusals": "notBreaching",
}


def counted() -> set[str]:
    """The metrics that our code counts."""
    code = "\n".join(file.read_text() for file in FUNCTIONS.rglob("*.py"))
    calls = re.findall(r"telemetry\.count\((.*?)\n? *\)\n", code, re.DOTALL)
    return {name for call in calls for name in re.findall(r"\b([A-Z]\w+)=", call)} | {"RunDuration"}


def test_all_alarms_are_known(alarms: Json) -> None:
    assert set(MISSING) == set(alarms)


def test_missing_data_and_action(alarms: Json) -> None:
    """Missing data is an alarm where silence is the failure; every alarm notifies the topic."""
    assert MISSING == {name: alarms[name]["TreatMissingData"] for name in MISSING}
    assert [] == [name for name in MISSING if [{"Ref": "TopicArn"}] != alarms[name]["AlarmActions"]]


@table(
    "name",
    ["NoSuccessfulRun", "WatchdogSilent", "AssignmentsFailed", "CourierSilent", "MessagesLate", "MessagesFailed"],
)
def test_our_own_metrics_exist(name: str, alarms: Json) -> None:
    """Counted by the code, under the namespace and service that the template gives the functions."""
    assert alarms[name]["MetricName"] in counted()
    assert "AssignmentReminders" == alarms[name]["Namespace"]
    assert [{"Name": "service", "Value": {"Ref": "Deployment"}}] == alarms[name]["Dimensions"]


def test_every_function_has_an_alarm_for_throttles(alarms: Json, resources: Json) -> None:
    """A throttled invocation never reaches our code: without Lambda's own metric it would go unnoticed."""
    named = {
        it["Properties"]["FunctionName"]["Fn::Sub"] for it in resources.values() if it["Type"].endswith("Function")
    }
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::Sub"]
        for alarm in alarms.values()
        if alarm.get("MetricName") == "Throttles"
    }

    assert named == {name.replace("Deployment", "AWS::StackName") for name in watched}


def test_every_function_has_an_alarm_for_errors(alarms: Json, resources: Json) -> None:
    """With a URL, a function that cannot work answers 5xx. For Lambda this is no error, so it is counted separately."""
    watched: dict[str, set[str]] = {"Errors": set(), "Url5xxCount": set()}
    for metric in (part for alarm in alarms.values() for part in walk(alarm) if isinstance(part, dict)):
        if metric.get("MetricName") in watched:
            watched[metric["MetricName"]].add(metric["Dimensions"][0]["Value"]["Fn::Sub"].removeprefix("${Deployment}"))
    functions = {
        name: it["Properties"]["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}")
        for name, it in resources.items()
        if it["Type"].endswith("Function")
    }
    with_url = {functions[name] for name in functions if f"{name}Url" in resources}

    assert with_url == watched["Url5xxCount"]
    assert set(functions.values()) - with_url <= watched["Errors"]


def test_every_endpoint_has_an_alarm_for_refusals(alarms: Json, resources: Json) -> None:
    """Each function with a URL, and with more refusals than a normal day has."""
    urls = {name.removesuffix("FunctionUrl") for name, it in resources.items() if it["Type"] == "AWS::Lambda::Url"}
    refusals = {name.removesuffix("Refusals"): it for name, it in alarms.items() if name.endswith("Refusals")}

    assert urls == set(refusals)
    assert {"Url4xxCount"} == {alarm["MetricName"] for alarm in refusals.values()}
    # One run whose token was rotated is refused once a shard.
    assert int(refusals["Scheduler"]["Threshold"]) > 16


def test_every_alarm_says_where_the_runbook_is(alarms: Json) -> None:
    """The e-mail of an alarm carries the link, as the e-mail of an alert does."""
    for name in MISSING:
        assert alarms[name]["AlarmDescription"]["Fn::Sub"].endswith(" Runbook: ${Runbook}"), name
        assert alarms[name]["AlarmName"]["Fn::Sub"].startswith("${Deployment}-"), name


def test_reputation(alarms: Json) -> None:
    """Before SES looks at the account: 2 % bounces, 0.1 % complaints, of our configuration set."""
    thresholds = {name: float(alarms[name]["Threshold"]) for name in ("BounceRate", "ComplaintRate")}

    assert {"BounceRate": 0.02, "ComplaintRate": 0.001} == thresholds
    for name in thresholds:
        assert [{"Name": "ses:configuration-set", "Value": {"Ref": "Deployment"}}] == alarms[name]["Dimensions"]


def test_no_success_in_25_hours(alarms: Json, template: Json) -> None:
    """Hour by hour, all of them without a success. CloudWatch takes more than a day only with such periods."""
    alarm = alarms["NoSuccessfulRun"]

    assert 25 == template["Parameters"]["SuccessWithinHours"]["Default"]
    assert (3600, {"Ref": "SuccessWithinHours"}) == (alarm["Period"], alarm["EvaluationPeriods"])
    assert ("Sum", "LessThanThreshold", 1) == (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"])


@table("name", ["Alarms", "MessageAlarms", "Dashboard"])
def test_nested_templates_get_their_parameters(name: str, nested: Json, resources: Json) -> None:
    given = resources[name]["Properties"]["Parameters"]

    assert set(nested[name]["Parameters"]) == set(given)


def test_dashboard_shows_metrics_that_exist(nested: Json) -> None:
    """The page is JSON, and each of our metrics on it is counted by the code."""
    body = nested["Dashboard"]["Resources"]["Page"]["Properties"]["DashboardBody"]["Fn::Sub"]
    page = json.loads(body)
    text = json.dumps(page)
    ours = set(
        re.findall(
            r'"((?:Runs|Assignments|Reminders|Alerts|Watchdog|Messages|Emails)[A-Z]\w+|RunDuration|Unsubscribed)"', text
        )
    )

    assert 8 == len(page["widgets"])
    assert ours <= counted()
    assert {"RunsSucceeded", "RunsFailed", "RunDuration", "AssignmentsEvaluated", "AlertsDelivered"} <= ours
