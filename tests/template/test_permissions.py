"""Each function may do what it does, to its own things, and nothing else."""

from __future__ import annotations

import re

from tests.helpers.cases import table
from tests.template.reading import Json, listed, statements, walk

LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
ALERT = {"sns:Publish", "kms:GenerateDataKey"}
# Lambda developer guide, "Control access to Lambda function URLs": both are needed since October 2025.
CALL = {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
SECRET = {"secretsmanager:GetSecretValue", "kms:Decrypt"}
# X-Ray knows no narrower resource than "*" for these: AWS, "Actions, resources, and condition keys for AWS X-Ray".
TRACE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
ALLOWED = {
    "CronRole": LOG | TRACE | SECRET | ALERT | CALL | {"sqs:SendMessage"},
    "SchedulerRole": LOG | TRACE | SECRET,
    "WatchdogRole": LOG | TRACE | SECRET | ALERT | {"scheduler:GetSchedule"},
    "AdminRole": LOG | TRACE | SECRET,
    "CourierRole": LOG | TRACE | SECRET | ALERT | {"ses:SendEmail", "sns:CreatePlatformEndpoint"},
    "FeedbackRole": LOG | TRACE | SECRET | {"sqs:SendMessage"},
    "UnsubscribeRole": LOG | TRACE | SECRET,
    "ScheduleRole": {"lambda:InvokeFunction", "sqs:SendMessage"},
}
SECRETS = {
    "CronRole": ["CronDatabaseSecret", "SchedulerTokenSecret", "SlackWebhookSecret"],
    "SchedulerRole": ["SchedulerDatabaseSecret", "SchedulerTokenSecret"],
    "WatchdogRole": ["CronDatabaseSecret", "SlackWebhookSecret"],
    "AdminRole": ["AdminDatabaseSecret", "SupabaseJwtSecret", "SupabasePublishableKeySecret"],
    "CourierRole": ["CourierDatabaseSecret", "UnsubscribeKeySecret", "SlackWebhookSecret"],
    "FeedbackRole": ["FeedbackDatabaseSecret"],
    "UnsubscribeRole": ["FeedbackDatabaseSecret", "UnsubscribeKeySecret"],
}


def test_there_are_no_other_roles(resources: Json) -> None:
    """SAM makes none of its own, whose managed policy would be wider."""
    assert set(ALLOWED) == {name for name, it in resources.items() if it["Type"] == "AWS::IAM::Role"}


def test_actions(resources: Json) -> None:
    """Exactly these actions, each by its full name."""
    assert ALLOWED == {
        role: {action for s in statements(resources[role]) for action in listed(s["Action"])} for role in ALLOWED
    }


@table("role", ALLOWED)
def test_no_wildcard(role: str, resources: Json) -> None:
    """
    No resource is a wildcard, but for the six characters that Secrets Manager appends to a name, for traces, and for
    devices, which have no name before they are registered.
    """
    wide = {"Trace", "PushToDevices"}
    narrow = [s for s in statements(resources[role]) if s["Sid"] not in wide]
    named = [resource for s in narrow for resource in listed(s["Resource"])]
    texts = [text for resource in named for text in walk(resource) if isinstance(text, str)]

    assert [] == [text for text in texts if "*" in text or "?" in text.removesuffix("-??????")]
    assert {"Allow"} == {s["Effect"] for s in statements(resources[role])}


@table("role", SECRETS)
def test_reads_its_own_secrets_only(role: str, resources: Json) -> None:
    """By name, and in this account and region."""
    [statement] = [s for s in statements(resources[role]) if s["Action"] == "secretsmanager:GetSecretValue"]
    arns = [resource["Fn::Sub"] for resource in listed(statement["Resource"])]
    prefix = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"

    assert [f"{prefix}${{{name}}}-??????" for name in SECRETS[role]] == arns


def test_sends_email_from_one_address(resources: Json) -> None:
    """One identity and one configuration set, and From is what EmailFrom says."""
    [statement] = [s for s in statements(resources["CourierRole"]) if s["Action"] == "ses:SendEmail"]

    assert {"StringEquals": {"ses:FromAddress": {"Ref": "EmailFrom"}}} == statement["Condition"]
    ends = ["identity/${EmailIdentity}", "configuration-set/${AWS::StackName}"]
    assert ends == [each["Fn::Sub"].partition("${AWS::AccountId}:")[2] for each in statement["Resource"]]


def test_pushes_to_devices_of_its_own_applications_only(resources: Json) -> None:
    """arn:...:app/GCM/name is turned into arn:...:endpoint/GCM/name/*, for each that the parameter names."""
    by_sid = {s["Sid"]: s for s in statements(resources["CourierRole"])}
    given = "arn:aws:sns:eu-west-2:1:app/GCM/a", "arn:aws:sns:eu-west-2:1:app/APNS/b"

    assert {"Ref": "PushApplicationArns"} == by_sid["RegisterDevices"]["Resource"]
    assert ["arn:aws:sns:eu-west-2:1:endpoint/GCM/a/*", "arn:aws:sns:eu-west-2:1:endpoint/APNS/b/*"] == _evaluated(
        by_sid["PushToDevices"]["Resource"], list(given)
    )


def _evaluated(value: Json, given: list[str]) -> Json:
    """What CloudFormation makes of Fn::Join and Fn::Split, where the only parameter is `given`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_evaluated(each, given) for each in value]
    if "Ref" in value:
        return given
    [(name, arguments)] = value.items()
    separator, rest = (_evaluated(each, given) for each in arguments)
    return separator.join(rest) if name == "Fn::Join" else rest.split(separator)


@table("role", ["CronRole", "WatchdogRole", "CourierRole"])
def test_publishes_alerts_to_its_own_topic_only(role: str, resources: Json) -> None:
    [statement] = [s for s in statements(resources[role]) if s["Sid"] == "Alert"]

    assert {"Ref": "AlertTopic"} == statement["Resource"]


def test_asks_for_one_schedule_only(resources: Json) -> None:
    [statement] = [s for s in statements(resources["WatchdogRole"]) if s["Action"] == "scheduler:GetSchedule"]
    schedule = resources["CronFunctionDaily"]["Properties"]

    assert statement["Resource"]["Fn::Sub"].endswith(f":schedule/${{Schedules}}/{schedule['Name']}")
    assert {"Ref": "Schedules"} == schedule["GroupName"]


def test_sends_traces_only_when_they_are_on(resources: Json) -> None:
    """Under the condition that the parameter Tracing says Active; otherwise the role has no wildcard at all."""
    policies = [policy for role in SECRETS for policy in resources[role]["Properties"]["Policies"]]
    tracing = [s for policy in policies for s in policy["PolicyDocument"]["Statement"] if "xray:" in str(s)]

    assert ["Traces"] * len(SECRETS) == [s["Fn::If"][0] for s in tracing]


def test_managed_policies_only_in_a_vpc(resources: Json) -> None:
    policies = [policy for role in SECRETS for policy in resources[role]["Properties"]["ManagedPolicyArns"]]

    assert ["HasVpc"] * len(SECRETS) == [policy["Fn::If"][0] for policy in policies]


@table("role", ALLOWED)
def test_who_may_become_it(role: str, resources: Json) -> None:
    """Lambda, or the schedules of this account."""
    [trust] = resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    service = "scheduler" if role == "ScheduleRole" else "lambda"

    assert {"Service": f"{service}.amazonaws.com"} == trust["Principal"]
    assert (service == "scheduler") == ("Condition" in trust)


def test_cron_calls_the_scheduler_by_its_url_only(resources: Json) -> None:
    """Signed, for no other function, and not by Invoke, whose event could say anything."""
    calls = [
        s
        for s in statements(resources["CronRole"])
        if s["Action"] in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
    ]
    environment = resources["CronFunction"]["Properties"]["Environment"]["Variables"]

    assert "AWS_IAM" == resources["SchedulerFunctionUrl"]["Properties"]["AuthType"]
    assert "AWS_IAM" == environment["REMINDER_FUNCTION_AUTH"]
    assert [{"Fn::GetAtt": ["SchedulerFunction", "Arn"]}] * 2 == [s["Resource"] for s in calls]
    assert {
        "lambda:InvokeFunctionUrl": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}},
        "lambda:InvokeFunction": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}},
    } == {s["Action"]: s["Condition"] for s in calls}


def test_no_other_principal_may_invoke(resources: Json) -> None:
    """The admin's Function URL alone is public: callers have Supabase's tokens. Its function is reached only by it."""
    permissions = [it["Properties"] for it in resources.values() if it["Type"] == "AWS::Lambda::Permission"]
    through = [p for p in permissions if p["Action"] == "lambda:InvokeFunction"]

    by_events = {p["Principal"]: p["SourceArn"] for p in permissions if "SourceArn" in p}
    by_url = [p for p in permissions if "SourceArn" not in p]

    assert {"FeedbackFunction"} == {p["FunctionName"]["Ref"] for p in permissions if "SourceArn" in p}
    assert {"events.amazonaws.com", "sns.amazonaws.com"} == set(by_events)
    assert {"Ref": "EndpointEvents"} == by_events["sns.amazonaws.com"]
    assert {"AdminFunction", "UnsubscribeFunction"} == {p["FunctionName"]["Ref"] for p in by_url}
    assert {True} == {p["InvokedViaFunctionUrl"] for p in through if p in by_url}
    assert {"NONE"} == {p["FunctionUrlAuthType"] for p in by_url if p not in through}


def test_one_rule_may_keep_its_undelivered_events(resources: Json) -> None:
    """
    An EventBridge rule has no role, so the queue's policy must allow it: without that, what cannot be delivered is lost
    without an error message. Each rule with a dead-letter queue is named, and nothing else.
    """
    rules = {name: rule for name, rule in resources.items() if rule["Type"] == "AWS::Events::Rule"}
    queues = [target["DeadLetterConfig"]["Arn"] for rule in rules.values() for target in rule["Properties"]["Targets"]]
    [policy] = [it for it in resources.values() if it["Type"] == "AWS::SQS::QueuePolicy"]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]

    assert ["FeedbackFunctionFromSes"] == list(rules)
    assert [{"Fn::GetAtt": ["DeadLetters", "Arn"]}] == queues
    assert [{"Ref": "DeadLetters"}] == policy["Properties"]["Queues"]
    assert rules["FeedbackFunctionFromSes"]["Condition"] == policy["Condition"]
    assert {
        "Sid": "KeepUndeliveredEvents",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queues[0],
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["FeedbackFunctionFromSes", "Arn"]}}},
    } == statement


def test_no_other_service_writes_dead_letters_without_a_role(resources: Json) -> None:
    """
    Schedules have a role, and Lambda uses the function's. A subscription of SNS with a RedrivePolicy would need the
    queue's policy.
    """
    subscriptions = [it["Properties"] for it in resources.values() if it["Type"] == "AWS::SNS::Subscription"]
    schedules = [it["Properties"]["Target"] for it in resources.values() if it["Type"] == "AWS::Scheduler::Schedule"]

    assert [] == [each for each in subscriptions if "RedrivePolicy" in each]
    assert {"Fn::GetAtt": ["ScheduleRole", "Arn"]} in [each["RoleArn"] for each in schedules]
    assert [] == [each for each in schedules if "DeadLetterConfig" in each and "RoleArn" not in each]


def test_no_secret_in_plain_text(template: Json) -> None:
    """Neither values nor references that CloudFormation would resolve into values."""
    texts = [text for text in walk(template) if isinstance(text, str)]

    assert [] == [t for t in texts if re.search(r"\{\{resolve:|postgres(ql)?://|hooks\.slack\.com|eyJ[\w-]{10}", t)]
