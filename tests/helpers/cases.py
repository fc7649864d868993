"""Rows of a test: all in one case, or each a case of its own of which `make test` runs some."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import pytest
from _pytest.mark import ParameterSet

Test = Callable[..., None]
Ids = Sequence[str] | Callable[[Any], object] | None


def table(names: str | Sequence[str], rows: Iterable[Any], ids: Ids = None) -> Callable[[Test], Test]:
    """
    All rows in one case, where pytest.mark.parametrize makes a case of each: for rows that leave nothing behind.

    The arguments are those of parametrize. The rows share their fixtures; all are run, and each that fails is named.
    """
    fields = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    listed = [_named(fields, row, ids, number) for number, row in enumerate(rows)]

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        fixtures = [parameter for name, parameter in signature.parameters.items() if name not in fields]
        nested = "subtests" in signature.parameters  # `test` is a table, too

        def all_rows(**given: Any) -> None:
            for row_name, row in listed:
                with given["subtests"].test(row_name):
                    test(
                        **dict(zip(fields, row, strict=True)),
                        **{name: value for name, value in given.items() if nested or name != "subtests"},
                    )

        # No functools.wraps: pytest would look through it, and take the fields for fixtures.
        all_rows.__name__, all_rows.__doc__, all_rows.__module__ = test.__name__, test.__doc__, test.__module__
        more = [] if nested else [inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)]
        all_rows.__signature__ = signature.replace(parameters=[*fixtures, *more])  # type: ignore[attr-defined]
        return all_rows

    return decorate


def _named(fields: Sequence[str], row: Any, ids: Ids, number: int) -> tuple[str, Sequence[Any]]:
    if isinstance(row, ParameterSet):
        assert not row.marks, "a row of a table cannot be left out"
        return str(row.id), row.values
    values = row if len(fields) > 1 else (row,)
    if isinstance(ids, Sequence):
        return ids[number], values
    texts = [ids(value) if ids else repr(value)[:100] for value in values]
    return ", ".join(f"{field}={text}" for field, text in zip(fields, texts, strict=True)), values


def first(number: int, cases: Iterable[Any]) -> list[ParameterSet]:
    """The first `number` of `cases` stand for the others, which have the same outcome."""
    return [_case(case, further=index >= number) for index, case in enumerate(cases)]


def one_of_each(outcomes: Mapping[Any, Hashable]) -> list[ParameterSet]:
    """The first case of each outcome stands for the others; `outcomes` by case."""
    seen = list(outcomes.values())
    return [_case(case, further=seen.index(seen[index]) < index) for index, case in enumerate(outcomes)]


def _case(case: Any, *, further: bool) -> ParameterSet:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=[pytest.mark.matrix] if further else [])
