"""
A handler's answer, the calls that it made to AWS, and the metrics that it printed:
`python -m tests.deploy.recorded MODULE:FUNCTION EVENT`, in the environment of a deployed function.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from typing import Any

from botocore.client import BaseClient

from ops.local.invoke import LocalContext, load_handler


def main(name: str, event: str) -> None:
    calls: list[list[Any]] = []
    original: Any = BaseClient._make_api_call  # type: ignore[attr-defined]  # every client of every session comes here

    def record(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        calls.append([client.meta.service_model.service_name, operation, parameters])
        return original(client, operation, parameters)

    BaseClient._make_api_call = record  # type: ignore[attr-defined]
    printed = io.StringIO()
    with redirect_stdout(printed):
        answer: Any
        try:
            answer = load_handler(name)(json.loads(event), LocalContext(name.partition(":")[0]))
        except Exception as error:
            answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
    lines = [json.loads(line) for line in printed.getvalue().splitlines() if line.startswith("{")]
    metrics = [line for line in lines if "_aws" in line]
    print(json.dumps({"answer": answer, "calls": calls, "metrics": metrics}, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
