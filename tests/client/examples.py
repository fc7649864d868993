"""
The calls of docs/client.md, each with what the page says comes back.

    <!-- run: js as mentor -->     supabase-js
    <!-- run: http as mentor -->   the same call, plain
    ```json, ```text               what both answer; <!-- answer: 403 --> above it, where it is no plain success
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from tests.client.statements import Request
from tests.docs.blocks import ROOT, Block, blocks_of

PAGE = ROOT / "docs" / "client.md"
ANSWER = re.compile(r"<!-- answer: (\d+) -->")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


@dataclass(frozen=True, slots=True)
class Example:
    """One block that is run, and the block that says what it answers."""

    language: str  #: js or http
    persona: str
    call: Block
    answer: Block

    def __str__(self) -> str:
        return str(self.call)

    @property
    def status(self) -> int | None:
        """None: any success."""
        match = ANSWER.fullmatch(self.answer.before[-1])
        return int(match[1]) if match else None


def blocks() -> list[Block]:
    return blocks_of(PAGE.name, PAGE.read_text())


def examples(language: str) -> list[Example]:
    """In the order of the page. The answer is the next block that is none of a call."""
    found = blocks()
    made = []
    for number, block in enumerate(found):
        marker = re.fullmatch(rf"run: {language} as (.+)", block.marker or "")
        if marker:
            answer = next(later for later in found[number:] if later.language in {"json", "text"})
            made.append(Example(language, marker[1], block, answer))
    return made


def request_of(block: Block) -> Request:
    """The HTTP request that a block writes down."""
    head, _, body = block.text.partition("\n\n")
    first, *lines = head.splitlines()
    method, target = first.split(" ", 1)
    return Request.of(method, target, body, dict(line.split(": ", 1) for line in lines))


def plain(request: Request) -> Request:
    """Without what two clients may say differently about the same call."""
    query = tuple((name, value) for name, value in request.query if name != "columns")
    return replace(request, query=query, headers={})


def without_times(value: Any) -> Any:
    """`value` with each time replaced by one word: the page cannot know it."""
    return json.loads(TIME.sub("<time>", json.dumps(value)))
