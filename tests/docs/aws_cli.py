"""
`aws` for the documents' blocks: the AWS CLI's grammar over boto3, against the local stack.

Real in what can be wrong in a document: botocore knows the services, operations and parameters and checks them, and
--query is JMESPath's own. `lambda invoke` runs the local handler, because moto runs none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name

OURS = {"query", "output", "cli-input-json", "cli-binary-format", "cli-read-timeout"}

# Where a parameter would be taken for a global option, the AWS CLI has a name of its own.
RENAMED = {"notification-endpoint": "endpoint"}


def main(arguments: list[str]) -> int:
    service, operation, *rest = arguments
    client = _client(service)
    options, positional = _options(rest)
    name = next(api for api in client.meta.service_model.operation_names if xform_name(api, "-") == operation)
    shape = client.meta.service_model.operation_model(name).input_shape
    parameters: dict[str, Any] = json.loads(_content(options.get("cli-input-json", "{}")))
    for option, value in options.items():
        if option not in OURS:
            wanted = RENAMED.get(option, option)
            member = next(key for key in shape.members if xform_name(key, "-") == wanted)
            parameters[member] = _typed(shape.members[member].type_name, _content(value))
    if (service, operation) == ("lambda", "invoke"):
        answer = _invoke(parameters, positional[0])
    else:
        answer = getattr(client, xform_name(name))(**parameters)
        answer.pop("ResponseMetadata", None)
    _print(jmespath.search(options["query"], answer) if "query" in options else answer, options.get("output", "json"))
    return 0


def _client(service: str) -> Any:
    make: Any = boto3.client
    return make(service)


def _options(rest: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    positional = []
    words = iter(rest)
    for word in words:
        if word.startswith("--"):
            options[word[2:]] = next(words)
        else:
            positional.append(word)
    return options, positional


def _content(value: str) -> str:
    return Path(value.removeprefix("file://")).read_text() if value.startswith("file://") else value


def _typed(kind: str, value: str) -> Any:
    if kind in {"integer", "long"}:
        return int(value)
    return json.loads(value) if kind in {"structure", "list", "map"} else value


def _print(answer: Any, output: str) -> None:
    if output == "text":
        print("\t".join(map(str, answer)) if isinstance(answer, list) else answer)
    else:
        print(json.dumps(answer, default=str))


def _invoke(parameters: dict[str, Any], file: str) -> dict[str, Any]:
    function = parameters["FunctionName"].rpartition("-")[2]
    command = [sys.executable, "-m", "ops.local.invoke", f"handlers.{function}:handler", parameters["Payload"]]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    Path(file).write_bytes(done.stdout)
    return {"StatusCode": 200, "ExecutedVersion": "$LATEST"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
