"""The stand-in for AWS, asked by real boto3 clients that know of it by their environment alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ops.local.aws import Aws

pytestmark = pytest.mark.matrix  # every other test that uses it fails with it


CLIENT = """
import boto3, json, sys
secret = boto3.client("secretsmanager").get_secret_value(SecretId="token")["SecretString"]
boto3.client("sns").publish(TopicArn=sys.argv[1], Subject="late", Message=secret)
print(json.dumps(secret))
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with Aws.start() as started:
        yield started


def test_process_with_the_environment_reads_secrets_and_publishes(aws: Aws) -> None:
    """Another process finds secrets and topics by `environment`; we read what it published."""
    aws.put_secret("token", "first")
    aws.put_secret("token", "second")
    topic = aws.create_topic("alerts")
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, topic],
        env={**os.environ, **aws.environment()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "second" == json.loads(done.stdout)
    assert [("second", "late")] == [(m.message, m.subject) for m in aws.published(topic)]


def test_server_listens_on_loopback(aws: Aws) -> None:
    """Other machines do not reach it."""
    assert aws.url.startswith("http://127.0.0.1:")
