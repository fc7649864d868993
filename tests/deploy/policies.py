"""
Whether a role's statements allow a call, as IAM would say it for what our template uses.

Allow only, Action and Resource with "*" and "?": no Deny, no NotAction, no condition but those of kms:ViaService, which
never decide on a call that a function makes itself. moto's own engine does not read "?", and Secrets Manager's ARNs
need it; `test_a_policy_is_no_more_than_the_matcher_reads` fails when a template needs more than this.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from ops.local.aws import ACCOUNT, REGION, Aws

Json = Any


def listed(value: Json) -> list[Json]:
    """IAM takes one or many."""
    return value if isinstance(value, list) else [value]


def allowing(statements: list[Json], action: str, resource: str) -> list[str]:
    """The actions, as they are written in `statements`, that allow `action` on `resource`."""
    return [
        pattern
        for statement in statements
        for pattern in listed(statement["Action"])
        if fnmatchcase(action.lower(), pattern.lower())
        and any(fnmatchcase(resource, wanted) for wanted in listed(statement["Resource"]))
    ]


def action_and_resource(aws: Aws, service: str, operation: str, parameters: dict[str, Any]) -> tuple[str, str]:
    """What IAM is asked for a call. A call that is not known here fails: say which resource it is about."""
    if (service, operation) == ("secretsmanager", "GetSecretValue"):
        arn = aws.client("secretsmanager").describe_secret(SecretId=parameters["SecretId"])["ARN"]
        return "secretsmanager:GetSecretValue", arn
    if (service, operation) == ("sns", "Publish"):
        return "sns:Publish", parameters["TopicArn"]
    if (service, operation) == ("scheduler", "GetSchedule"):
        schedule = f"{parameters['GroupName']}/{parameters['Name']}"
        return "scheduler:GetSchedule", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{schedule}"
    raise AssertionError(f"{service}:{operation} is new: name the resource that its policy must allow")
