"""
What the migrations created, compared by shape: an index, trigger, policy or function may have the right name and
another definition.

Reports what is missing, what differs, and what was added to our own tables. The app's tables may have objects of the
app, so only our own objects are checked there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from ops.cli import ledger
from ops.cli.doctor.database import OURS
from ops.cli.doctor.examination import Examination, Finding, Skipped, problem, warning
from ops.migrations import MIGRATIONS
from ops.schema import shapes
from ops.schema.shapes import Shape

Key = tuple[str, str, str]
# DROP needs the table for these, but not for an index or a function.
ON_A_TABLE = {"trigger", "policy"}


def compare(examination: Examination) -> Iterator[Finding]:
    if ledger.pending_migrations(examination.database):
        raise Skipped("migrations are pending, so what they create is not there yet")
    wanted, found = _by_key(shapes.expected()), _by_key(shapes.of(examination.database))
    yield from (*_missing_or_other(wanted, found), *_added(wanted, found))


def _by_key(all_shapes: Iterable[Shape]) -> dict[Key, list[Shape]]:
    """By kind, table and name; a function that is overloaded has several."""
    found: dict[Key, list[Shape]] = defaultdict(list)
    for shape in all_shapes:
        found[shape.key].append(shape)
    return found


def _missing_or_other(wanted: dict[Key, list[Shape]], found: dict[Key, list[Shape]]) -> Iterator[Finding]:
    elsewhere = {(kind, name): table for kind, table, name in found}
    for key, shape in ((key, each) for key, several in wanted.items() for each in several):
        level = problem if shape.is_ours or shape.on_table in OURS else warning
        if key in found:
            if found[key] != wanted[key]:
                yield level(_difference(shape, found[key]), _repair(shape))
        elif (shape.kind, shape.name) in elsewhere:
            table = elsewhere[shape.kind, shape.name]
            yield level(f"{shape.kind} {shape.name} is on {table}, not on {shape.on_table}", _repair(shape))
        elif shape.on_table in OURS or shape.is_ours:
            level = problem if "UNIQUE" in shape.shape or shape.kind != "index" else warning
            yield level(f"{shape.kind} {shape.name}{_on(shape)} is missing", _repair(shape))


def _difference(shape: Shape, found: list[Shape]) -> str:
    """The parts that differ, as in the shapes; a function's body is only "another body"."""
    name = f"{shape.kind} {shape.name}{_on(shape)}"
    if len(found) > 1:
        return f"{name} is there {len(found)} times"
    actual, right = found[0].shape.split("; "), shape.shape.split("; ")
    parts = [part for part in actual if part not in right] or [f"without {p}" for p in right if p not in actual]
    differing = ["another body" if part.startswith("body ") else part for part in parts]
    return f"{name} is not as the migrations made it: {'; '.join(differing)}"


def _added(wanted: dict[Key, list[Shape]], found: dict[Key, list[Shape]]) -> Iterator[Finding]:
    for key, (shape, *_) in found.items():
        if shape.on_table in OURS and shape.kind in ON_A_TABLE and key not in wanted:
            fix = f"Find out who added it; then DROP {shape.kind.upper()} {shape.name} ON public.{shape.on_table};"
            yield problem(f"{shape.kind} {shape.name}{_on(shape)} was not created by the migrations", fix)


def _on(shape: Shape) -> str:
    return f" on {shape.on_table}" if shape.on_table else ""


def _repair(shape: Shape) -> str:
    """An index whose creation failed is the usual case; anything else was changed by hand."""
    file = _made_in(shape.name)
    if shape.kind == "index":
        return f"DROP INDEX CONCURRENTLY public.{shape.name}; then make it again (CONCURRENTLY) as in {file}."
    if shape.kind == "trigger":
        return f"ALTER TABLE public.{shape.on_table} ENABLE TRIGGER {shape.name}; or make it again as in {file}."
    return f"Find out who changed it, then make it again as in {file}."


def _made_in(name: str) -> str:
    """The newest migration that names it."""
    files = sorted((file for file in MIGRATIONS.glob("*.sql") if name in file.read_text()), reverse=True)
    return f"migrations/{files[0].name}" if files else "the migrations"
