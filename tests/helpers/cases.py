"""Which cases of a parametrised test `make test` runs; the others are marked as `matrix`, for `make test-all`."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pytest
from _pytest.mark import ParameterSet


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
