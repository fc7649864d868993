"""
The stack as CloudFormation would leave it, made in moto from the transformed template.

moto's CloudFormation makes functions, layers, roles, log groups, queue, topic and dashboard. It does not know the types
in `BY_API`. Those are made by the services' own API from the same properties: botocore checks them, and moto resolves
their references. Not tested here: CloudFormation's own checks of properties and its transforms, the evaluation of
alarms, the invocation by a schedule, the authorization of a Function URL.
"""

from __future__ import annotations

import copy
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.local.aws import ACCOUNT, REGION, Aws
from tests.helpers.transformed import transform_template

STACK = "reminders-staging"
Json = Any
NESTED = ("infra/alarms.yaml", "infra/dashboard.yaml")
BUCKET = "artifacts"
URL = "https://{}.lambda-url.eu-west-2.on.aws/"
# What moto's CloudFormation does not make, and why this is enough of it.
BY_API = {
    "AWS::Scheduler::ScheduleGroup": "made by the API",
    "AWS::Scheduler::Schedule": "made by the API",
    "AWS::Lambda::Url": "made by the API; the address is made up",
    "AWS::Lambda::EventInvokeConfig": "made by the API",
    "AWS::SNS::Subscription": "made by the API, where AlertEmail is given",
    "AWS::SES::ConfigurationSet": "not made: this deployment sends no messages",
    "AWS::SES::ConfigurationSetEventDestination": "not made: this deployment sends no messages",
    "AWS::SQS::QueuePolicy": "not made: this deployment sends no messages",
    "AWS::CloudWatch::Alarm": "made by the API, from the nested stack that moto made",
}


@dataclass(frozen=True, slots=True)
class Cloud:
    """A stack in moto. `resources`: the template's, with every reference resolved."""

    aws: Aws
    template: Json
    resources: dict[str, Json]
    urls: Mapping[str, str]

    def environment(self, function: str) -> dict[str, str]:
        """What Lambda would give the function, from Lambda."""
        found = self.aws.client("lambda").get_function_configuration(FunctionName=f"{STACK}-{function}")
        # Lambda's API knows strings only; moto keeps the numbers of parameters.
        return {name: str(value) for name, value in found["Environment"]["Variables"].items()}

    def policy(self, function: str) -> list[Json]:
        """The statements of the function's role."""
        policies = self.resources[f"{function.capitalize()}Role"]["Policies"]
        return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]

    def schedule(self, name: str) -> Json:
        """A schedule, from EventBridge Scheduler."""
        return self.aws.client("scheduler").get_schedule(Name=name, GroupName=STACK)

    def alarms(self) -> list[Json]:
        """All alarms of the stack, from CloudWatch."""
        return [a for a in self.aws.client("cloudwatch").describe_alarms()["MetricAlarms"] if STACK in a["AlarmName"]]


def deploy(aws: Aws, parameters: Mapping[str, str]) -> Cloud:
    """Deploy template.yaml with `parameters`."""
    _upload(aws)
    template = transform_template("template.yaml")
    types = {name: it["Type"] for name, it in template["Resources"].items()}
    functions = [name.removesuffix("Url") for name, kind in types.items() if kind == "AWS::Lambda::Url"]
    urls = {name: URL.format(name.lower()) for name in functions}
    known = _with_known(copy.deepcopy(template), urls)
    made = copy.deepcopy(known)
    for name, kind in types.items():
        if kind in BY_API:
            del made["Resources"][name]
        elif kind == "AWS::CloudFormation::Stack":
            properties = made["Resources"][name]["Properties"]
            properties["TemplateURL"] = f"https://{BUCKET}.s3.amazonaws.com/{properties['TemplateURL']}"
    aws.client("cloudformation").create_stack(
        StackName=STACK,
        TemplateBody=json.dumps(made),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    resources = _resolved(known, _resource_map(STACK))
    for alarm in _resolved(transform_template("infra/alarms.yaml"), _resource_map(f"{STACK}-Alarms")).values():
        aws.client("cloudwatch").put_metric_alarm(**_numbers(alarm))
    _make_the_rest(aws, resources, types)
    return Cloud(aws, template, resources, urls)


def _upload(aws: Aws) -> None:
    """What `sam package` uploads: an artifact, and the nested templates."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    artifact = io.BytesIO()
    with zipfile.ZipFile(artifact, "w") as archive:
        archive.writestr("nothing.py", "")
    s3.put_object(Bucket=BUCKET, Key="key", Body=artifact.getvalue())
    for nested in NESTED:
        s3.put_object(Bucket=BUCKET, Key=nested, Body=json.dumps(transform_template(nested)).encode())


def _with_known(value: Json, urls: Mapping[str, str]) -> Json:
    """`value` with references to what moto cannot make replaced by what they come to."""
    if isinstance(value, list):
        return [_with_known(part, urls) for part in value]
    if not isinstance(value, dict):
        return BUCKET if value == "bucket" else value
    if value == {"Ref": "Schedules"}:
        return STACK
    if "Fn::GetAtt" in value and value["Fn::GetAtt"][0].removesuffix("Url") in urls:
        return urls[value["Fn::GetAtt"][0].removesuffix("Url")]
    if isinstance(value.get("Fn::Sub"), str):
        return {"Fn::Sub": value["Fn::Sub"].replace("${Schedules}", STACK)}
    return {key: _with_known(part, urls) for key, part in value.items()}


def _resource_map(prefix: str) -> Any:
    """moto's map of a stack: what its references come to. A nested stack has `prefix` and a made-up ending."""
    from moto.cloudformation.models import cloudformation_backends

    stacks = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    named = {stack.name: stack.resource_map for stack in stacks}
    return named.get(prefix) or next(found for name, found in named.items() if name.startswith(f"{prefix}-"))


def _numbers(alarm: Json) -> Json:
    """CloudFormation makes numbers of the texts that parameters are; botocore does not."""
    return {key: int(value) if isinstance(value, str) and value.isdigit() else value for key, value in alarm.items()}


def _resolved(template: Json, made: Any) -> dict[str, Json]:
    from moto.cloudformation.parsing import clean_json

    conditions = {name: made.lazy_condition_map[name] for name in template.get("Conditions", {})}
    return {
        name: _without_nothing(clean_json(copy.deepcopy(resource["Properties"]), made))
        for name, resource in template["Resources"].items()
        if conditions.get(resource.get("Condition", ""), True)
    }


def _without_nothing(value: Json) -> Json:
    """AWS::NoValue takes its property or its place in a list away; moto leaves a None there."""
    if isinstance(value, dict):
        return {key: _without_nothing(part) for key, part in value.items() if part is not None}
    return [_without_nothing(part) for part in value if part is not None] if isinstance(value, list) else value


def _make_the_rest(aws: Aws, resources: Mapping[str, Json], types: Mapping[str, str]) -> None:
    scheduler, functions = aws.client("scheduler"), aws.client("lambda")
    of = {kind: [it for name, it in resources.items() if types[name] == kind] for kind in BY_API}
    for group in of["AWS::Scheduler::ScheduleGroup"]:
        scheduler.create_schedule_group(**group)
    for schedule in of["AWS::Scheduler::Schedule"]:
        scheduler.create_schedule(**schedule)
    for url in of["AWS::Lambda::Url"]:
        functions.create_function_url_config(
            FunctionName=url["TargetFunctionArn"], AuthType=url["AuthType"], InvokeMode=url["InvokeMode"]
        )
    for config in of["AWS::Lambda::EventInvokeConfig"]:
        functions.put_function_event_invoke_config(**config)
    for subscription in of["AWS::SNS::Subscription"]:
        aws.client("sns").subscribe(**subscription)


def unresolved(value: Json, path: str = "") -> Iterator[str]:
    """Where something in `value` is still a reference, or a pattern of one."""
    if isinstance(value, dict):
        for key, part in value.items():
            if (key in {"Ref", "Condition"} and isinstance(part, str)) or key.startswith("Fn::"):
                yield path
            yield from unresolved(part, f"{path}/{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from unresolved(part, f"{path}/{number}")
    elif isinstance(value, str) and re.search(r"\$\{[\w:.]+\}", value):
        yield path
