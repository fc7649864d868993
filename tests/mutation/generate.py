"""
Lists the mutants of one Python module as JSON, by the operators of cosmic-ray.

    build/mutation/bin/python tests/mutation/generate.py functions/reminders/alerts/policy.py

A comparison has up to nine wrong operators. One of each place is enough: the nearest (`>=` to `>`), which is the
hardest to kill.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

NEAREST = ("GtE_Gt", "Gt_GtE", "LtE_Lt", "Lt_LtE", "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "Add_Sub", "Sub_Add")
# `int | None` in an annotation is not run, and a one-off number would be killed by any test of the constant's value.
LEFT_OUT = re.compile(r"core/(NumberReplacer|ReplaceBinaryOperator_BitOr_\w+|NoOp|Variable\w+)$")
# What `frozen` and `slots` refuse, our code does not do, and mypy would say so.
DATACLASS = re.compile(r"\s*@dataclass\(")


def mutants(code: str) -> list[dict[str, Any]]:
    tree, lines, found, taken = get_ast(code), code.splitlines(), [], set()
    names = sorted(plugins.operator_names(), key=lambda name: (not name.endswith(NEAREST), name))
    for name in names:
        kind = plugins.get_operator(name)
        if kind.arguments() or LEFT_OUT.search(name):
            continue
        places = [place for node in ast_nodes(tree) for place in kind().mutation_positions(node)]
        for occurrence, place in enumerate(places):
            if name.endswith("ReplaceTrueWithFalse") and DATACLASS.match(lines[place[0][0] - 1]):
                continue
            try:
                mutated = mutate_code(code, kind(), occurrence)
            except AttributeError:  # cosmic-ray cannot replace `module.Error` in `except module.Error`
                continue
            of_a_kind = (name.partition("_")[0], place)
            if mutated and mutated != code and of_a_kind not in taken:
                taken.add(of_a_kind)
                found.append({"operator": name.removeprefix("core/"), "place": place[0], "code": mutated})
    return sorted(found, key=lambda mutant: (mutant["place"], mutant["operator"]))


if __name__ == "__main__":
    print(json.dumps(mutants(Path(sys.argv[1]).read_text(encoding="utf-8"))))
