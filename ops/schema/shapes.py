"""
The shapes of what the migrations make: indexes, triggers, policies, functions.

    shapes.sql    asks a database for them
    shapes.json   the result on a freshly migrated one; `python -m ops.tools.shapes` writes it, and a test compares

`reminders doctor` compares a database with the file: an index that is invalid, a trigger that is disabled or a function
that was replaced keeps its name. PostgreSQL 15 and 18 give the same answers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from reminders.database import Queries

FILE = Path(__file__).with_name("shapes.json")
queries = Queries("ops.schema", "shapes.sql")


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """`on_table` is empty for a function; `is_ours`: it concerns our own roles or the table itself."""

    kind: str
    on_table: str
    name: str
    shape: str
    is_ours: bool

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.on_table, self.name


def of(connection: psycopg.Connection[Any]) -> list[Shape]:
    """All shapes in schema public, with those of the app; `connection` is autocommitting."""
    with connection.transaction(force_rollback=True):
        # PostgreSQL prints expressions depending on both.
        connection.execute(
            "SELECT set_config('search_path', 'pg_catalog', true), set_config('IntervalStyle', 'postgres', true)"
        )
        found = queries.all(connection, "shapes", Shape)
        (reminded,) = connection.execute("SELECT notifications FROM reminder_private.project").fetchone() or ("",)
    theirs = {"notifications"} - {reminded}
    return [_as_in_a_new_project(shape, reminded) for shape in found if shape.on_table not in theirs]


def expected() -> list[Shape]:
    """What the migrations make in an empty project."""
    return [Shape(**row) for row in json.loads(FILE.read_text(encoding="utf-8"))]


def _as_in_a_new_project(shape: Shape, reminded: str) -> Shape:
    """As if our notifications table were not called `reminded`, and no status but "open" counted as open."""
    text = _without_casts(shape.shape).replace(f"public.{reminded} ", "public.notifications ")
    if shape.name == "assignments_open_idx":
        text = re.sub(r"WHERE \(status = .*\)", "WHERE (status = 'open')", text)
    table = "notifications" if shape.on_table == reminded else shape.on_table
    return Shape(shape.kind, table, shape.name, text, shape.is_ours)


def _without_casts(text: str) -> str:
    """On one line; a column that is an enum instead of text has the same shape."""
    bare = re.sub(r"\(([\w.]+)\)::[\w.\"]+(\[\])?", r"\1", " ".join(text.split()))
    return re.sub(r"::[\w.\"]+( varying)?(\[\])?", "", bare)
