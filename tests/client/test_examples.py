"""Every call of docs/client.md is made, in both languages, and answers what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.local.server import Server
from reminders.database import Connection
from tests.client.examples import PAGE, Example, blocks, examples, plain, request_of, without_times
from tests.client.people import KEY, PEOPLE, Api
from tests.docs.blocks import Block
from tests.helpers.cases import first
from tests.tokens import signed

JS, HTTP = examples("js"), examples("http")
MARKERS = re.compile(r"run: (js|http) as (" + "|".join(PEOPLE) + r")|run: sql as postgres|check: js")
# What the page's reader has: the client, signed in, and the constants of its first block.
SETTING = """
import { createClient } from '@supabase/supabase-js'
const supabase = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_PUBLISHABLE_KEY, {
  accessToken: async () => process.env.ACCESS_TOKEN,
  realtime: { transport: class { close() {} send() {} } },
})
"""


def by_line(example: Example | Block) -> str:
    return str(example)


def constants() -> str:
    first = next(block for block in blocks() if block.language == "js")
    return "\n".join(line for line in first.text.splitlines() if re.match(r"const \w+ = '", line))


def node(folder: Path, program: str, environment: dict[str, str]) -> str:
    file = folder / "example.mjs"
    file.write_text(program)
    done = subprocess.run(
        ["node", str(file)], env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout


def run_js(example: Example, folder: Path, api: Api) -> dict[str, Any]:
    """The names that the block takes from the answer, `data` and `error` or `count` and `error`, with their values."""
    names = re.findall(r"^const \{ ([\w, ]+) \} = await", example.call.text, re.M)
    assert len(names) == 1, f"{example} must take its answer apart"
    program = f"{SETTING}{constants()}\n{example.call.text}\nconsole.log(JSON.stringify({{ {names[0]} }}))"
    environment = {
        "SUPABASE_URL": api.url,
        "SUPABASE_PUBLISHABLE_KEY": KEY,
        "ACCESS_TOKEN": signed(PEOPLE[example.persona]),
    }
    found: dict[str, Any] = json.loads(node(folder, program, environment))
    return found


def send(api: Api, example: Example) -> httpx.Response:
    lines = example.call.text.partition("\n\n")[0].splitlines()
    method, target = lines[0].split(" ", 1)
    headers = dict(line.split(": ", 1) for line in lines[1:])
    body = example.call.text.partition("\n\n")[2] or None
    return httpx.request(method, api.url + target, headers={**api.headers(example.persona), **headers}, content=body)


def test_every_call_says_who_makes_it() -> None:
    """A new block without a marker, or with an unknown one, would not be tested."""
    calls = [block for block in blocks() if block.language in {"js", "http", "sql"}][1:]
    assert [] == [str(block) for block in calls if not MARKERS.fullmatch(block.marker or "")]


def test_each_call_is_shown_in_both_languages() -> None:
    """supabase-js first, HTTP next, by the same person."""
    assert [example.persona for example in JS] == [example.persona for example in HTTP]
    assert all(js.call.line < http.call.line for js, http in zip(JS, HTTP, strict=True))
    assert all(http.call.line < js.call.line for http, (_, js) in zip(HTTP, pairwise(JS), strict=False))


@pytest.mark.parametrize("example", first(6, HTTP), ids=by_line)
def test_http(example: Example, api: Api) -> None:
    """The status and the body, or the header, that the page shows."""
    response = send(api, example)
    assert response.status_code == example.status if example.status else response.is_success, response.text
    if example.answer.language == "text":
        name, value = example.answer.text.split(": ")
        assert value == response.headers[name]
    else:
        body = response.json() if response.content else None
        assert without_times(json.loads(example.answer.text)) == without_times(body)


@pytest.mark.parametrize("example", first(3, JS), ids=by_line)
def test_supabase_js(example: Example, api: Api, supabase_js: Path) -> None:
    """supabase-js itself, on the stand-in: the answer that the page shows, by the request that it shows."""
    found = run_js(example, supabase_js, api)
    error = found.pop("error")
    (value,) = found.values()
    if error:
        value = {name: error[name] for name in ("code", "message", "details", "hint")}
    assert bool(error) == bool(example.status and example.status >= 400), error
    assert without_times(json.loads(example.answer.text)) == without_times(value)
    twin = HTTP[JS.index(example)]
    assert [plain(request_of(twin.call))] == [plain(request) for request in api.requests]


@pytest.mark.parametrize("block", [block for block in blocks() if block.marker == "check: js"], ids=by_line)
def test_subscription_is_accepted_by_supabase_js(block: Block, supabase_js: Path) -> None:
    """Without a server for it: the options are those that the client knows."""
    program = f"{SETTING}{constants()}\n{block.text}\nconsole.log(channel.topic); process.exit(0)"
    environment = {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_PUBLISHABLE_KEY": KEY, "ACCESS_TOKEN": "none"}
    assert "realtime:my-notifications" == node(supabase_js, program, environment).strip()


@pytest.mark.parametrize("block", [block for block in blocks() if block.marker == "run: sql as postgres"], ids=by_line)
def test_sql(block: Block, owner: Connection, server: Server, database: str) -> None:
    """As `postgres` in Supabase's SQL editor, where the publication exists already."""
    owner.execute("CREATE PUBLICATION supabase_realtime")
    owner.execute(block.text.encode())
    published = owner.execute("SELECT schemaname, tablename FROM pg_publication_tables").fetchall()
    assert [("public", "notifications")] == published


def test_without_an_access_token(api: Api) -> None:
    """Every call of the page, with the publishable key alone: 401, and no row."""
    for example in HTTP:
        request = request_of(example.call)
        response = httpx.request(
            request.method,
            f"{api.url}/rest/v1/{request.path}",
            params=dict(request.query),
            headers=api.headers(None),
            json=request.body,
        )
        assert 401 == response.status_code, f"{example}: {response.text}"


def test_token_that_has_expired(api: Api) -> None:
    """As PostgREST answers it, so that the app knows to refresh the session."""
    token = signed({**PEOPLE["mentor"], "exp": 1})
    headers = {**api.headers("mentor"), "Authorization": f"Bearer {token}"}
    response = httpx.get(f"{api.url}/rest/v1/notifications", headers=headers)
    assert (401, "PGRST303") == (response.status_code, response.json()["code"])


def test_every_code_of_the_table_of_errors_is_raised(filled: Connection) -> None:
    """The functions raise no code that the page does not name."""
    page = "\n".join(line for line in PAGE.read_text().splitlines() if line.startswith("|"))
    sources = filled.execute(
        "SELECT string_agg(prosrc, ' ') FROM pg_proc WHERE pronamespace = 'reminder_admin'::regnamespace"
    ).fetchone()
    assert sources
    raised = {code.replace("invalid_parameter_value", "22023") for code in re.findall(r"ERRCODE = '(\w+)'", sources[0])}
    assert raised == {code for code in raised if f"`{code}`" in page}
    assert raised


def test_stand_in_has_the_rights_of_the_caller(api: Api) -> None:
    """Its own login is the superuser's; were that used, no refusal of these tests would mean anything."""
    response = httpx.get(f"{api.url}/rest/v1/cron_alerts", headers=api.headers("mentor"))
    assert (403, "42501") == (response.status_code, response.json()["code"])
