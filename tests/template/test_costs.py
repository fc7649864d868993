"""The cost page is what the formula says, and the formula is about this template."""

from __future__ import annotations

from ops.tools import costs
from ops.tools.build.artifact import ROOT
from tests.template.reading import Json, walk


def test_page_shows_what_the_command_prints() -> None:
    """A million assignments cost two dollars more at most, because the work is a statement and not a loop."""
    page = (ROOT / "docs" / "costs.md").read_text()

    assert costs.as_markdown([10_000, 1_000_000]) in page
    assert costs.messages_as_markdown([10_000, 1_000_000]) in page
    few, many = (sum(line.dollars for line in costs.bill(number)) for number in (10_000, 1_000_000))
    assert few < many < few + 2


def test_memory_is_the_templates(template: Json) -> None:
    sizes = {
        name: it["Properties"]["MemorySize"] / 1024
        for name, it in template["Resources"].items()
        if it["Type"] == "AWS::Lambda::Function"
    }

    assert {costs.ADMIN_GB} == {sizes.pop("AdminFunction")}
    assert {costs.FUNCTION_GB} == set(sizes.values())


def test_alarms_are_counted_by_their_metrics(alarms: Json) -> None:
    """An alarm is paid for each metric it looks at."""
    names = [
        part for alarm in alarms.values() for part in walk(alarm) if isinstance(part, dict) and "MetricName" in part
    ]

    assert costs.ALARM_METRICS + costs.MESSAGE_ALARM_METRICS == len(names)
