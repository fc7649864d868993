"""The Function URL server, over real HTTP, in this process and as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ops.local.function_url import FunctionUrl
from tests.helpers.waiting import eventually

pytestmark = pytest.mark.matrix  # every other test that uses it fails with it


HANDLER = """
def handler(event, context):
    if event["rawPath"] == "/loud":
        print("x" * 50_000, flush=True)
    return {"path": event["rawPath"]}
"""
SLOW = "import os, time\ndef handler(event, context):\n    time.sleep(0.3)\n    return {'pid': os.getpid()}\n"


def echo(event: dict[str, Any], context: Any) -> dict[str, Any]:
    received = {"event": event, "left": context.get_remaining_time_in_millis()}
    return {"statusCode": 202, "cookies": ["a=1", "b=2"], "body": json.dumps(received)}


def test_request_reaches_the_handler_and_its_answer_the_caller() -> None:
    """Method, path, query, headers and body go in; status, cookies and body come out."""
    with FunctionUrl(echo, timeout=30) as served:
        answer = httpx.post(f"{served.url}/runs?x=1", json={"a": 1}, headers={"X-Me": "you"})
    received = answer.json()
    assert (202, ["a=1", "b=2"]) == (answer.status_code, answer.headers.get_list("set-cookie"))
    assert ("/runs", "x=1", '{"a":1}', "you") == (
        received["event"]["rawPath"],
        received["event"]["rawQueryString"],
        received["event"]["body"],
        received["event"]["headers"]["x-me"],
    )
    assert 0 < received["left"] <= 30_000


def test_raising_handler_is_a_502_without_details(capsys: pytest.CaptureFixture[str]) -> None:
    """The caller learns no more than from AWS; the log has the trace."""

    def fail(event: Any, context: Any) -> None:
        raise RuntimeError("secret")

    with FunctionUrl(fail) as served:
        answer = httpx.get(served.url)
    assert (502, "Internal Server Error") == (answer.status_code, answer.text)
    assert "RuntimeError: secret" in capsys.readouterr().err


def test_connection_is_kept_alive() -> None:
    """Many requests over one connection, each quick: no delayed acknowledgement between them."""
    with FunctionUrl(lambda event, context: {"ok": True}) as served, httpx.Client() as client:
        client.get(served.url)
        took = []
        for _ in range(50):
            answer = client.post(served.url, json={"a": 1})
            took.append(answer.elapsed.total_seconds())
            assert 200 == answer.status_code
    # A delayed acknowledgement is 40 ms in each. A busy machine delays some.
    assert 0.03 > sorted(took)[10]


def test_head_has_no_body() -> None:
    """A HEAD answer ends after its headers, and the connection goes on."""
    with FunctionUrl(lambda event, context: {"ok": True}) as served, httpx.Client() as client:
        assert b"" == client.head(served.url).content
        assert {"ok": True} == client.get(served.url).json()


def test_too_large_a_body_is_refused() -> None:
    """Lambda takes 6 MB; more never reaches the handler."""
    with FunctionUrl(echo) as served:
        assert 413 == httpx.post(served.url, content=b"x" * (6 * 1024 * 1024 + 1)).status_code


def test_events_wait_for_each_other() -> None:
    """One environment answers one event at a time."""
    inside: list[int] = []
    most: list[int] = []

    def slow(event: Any, context: Any) -> dict[str, int]:
        inside.append(threading.get_ident())
        most.append(len(inside))
        time.sleep(0.1)
        inside.pop()
        return {}

    with FunctionUrl(slow) as served, ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: httpx.get(served.url), range(3)))
    assert 1 == max(most)


@contextmanager
def started(folder: Path, handler: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "my_handler.py").write_text(handler)
    with subprocess.Popen(
        [sys.executable, "-m", "ops.local.function_url", "my_handler:handler", *options],
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(tmp_path, HANDLER) as running:
        yield running


@pytest.fixture
def two_environments(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with started(tmp_path, SLOW, "--environments", "2") as running:
        yield running


def pids(url: str, requests: int) -> list[int]:
    """Who answers that many requests at once."""
    with ThreadPoolExecutor(requests) as pool:
        return list(pool.map(lambda _: httpx.get(url, timeout=30).json()["pid"], range(requests)))


def test_environments_answer_side_by_side(two_environments: subprocess.Popen[str]) -> None:
    """Two at a time, each in a process of its own; the third request waits for the first that is free."""
    assert two_environments.stdout
    url = two_environments.stdout.readline().strip()
    began = time.monotonic()
    answered = pids(url, 3)
    assert {1, 2} == set(Counter(answered).values())
    assert 0.6 <= time.monotonic() - began


def test_environments_end_with_the_process_of_their_url(two_environments: subprocess.Popen[str]) -> None:
    """Even where it is killed."""
    assert two_environments.stdout
    url = two_environments.stdout.readline().strip()
    environments = [psutil.Process(pid) for pid in set(pids(url, 2))]
    two_environments.kill()
    assert 2 == len(environments)
    assert eventually(lambda: not any(environment.is_running() for environment in environments))


def test_process_prints_its_url_and_ends_with_its_input(process: subprocess.Popen[str]) -> None:
    """The first line is the URL; end of standard input ends it well."""
    assert process.stdout and process.stdin
    url = process.stdout.readline().strip()
    assert {"path": "/x"} == httpx.get(f"{url}/x").json()
    process.stdin.close()
    assert 0 == process.wait(30)


def test_process_whose_handler_logs_much(process: subprocess.Popen[str]) -> None:
    """Its standard output is not read after the URL; more than a pipe holds must not stop it."""
    assert process.stdout
    url = process.stdout.readline().strip()
    for _ in range(3):
        assert {"path": "/loud"} == httpx.get(f"{url}/loud", timeout=30).json()


def test_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Its input may be held open by others: a lost parent is enough."""
    (tmp_path / "my_handler.py").write_text(HANDLER)
    starter = (
        "import subprocess, sys, time\n"
        "served = subprocess.Popen([sys.executable, '-m', 'ops.local.function_url',"
        " 'my_handler:handler'], stdout=subprocess.PIPE, text=True)\n"
        "served.stdout.readline(); print(served.pid, flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", starter],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        served = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        assert eventually(lambda: not served.is_running())
