"""
The costs of a deployment per month: `python -m ops.tools.costs --assignments 10000`.

Every line is a quantity times a price. Quantities come from the template (memory, alarms, a watchdog that runs every
15 minutes) and from the upper limits of time in docs/performance.md, so that the real costs are lower. Prices are AWS'
list prices for London (eu-west-2) when this was written, in US dollars, without tax and without any free tier. Compare
them with AWS' own calculator. The costs of Supabase are not included.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

DAYS = 365 / 12
HOURS = DAYS * 24

# US dollars.
LAMBDA_GB_SECOND_ARM64 = 0.0000133334
LAMBDA_REQUEST = 0.20 / 1e6
SCHEDULER_INVOCATION = 1.00 / 1e6
SECRET_MONTH = 0.40
SECRET_CALL = 0.05 / 1e4
METRIC_MONTH = 0.30
ALARM_METRIC_MONTH = 0.10
DASHBOARD_MONTH = 3.00
LOG_MB = 0.5985 / 1e3
ALERT_EMAIL = 2.00 / 1e5
SES_EMAIL = 0.10 / 1e3
PUSH = 0.50 / 1e6
EVENT = 1.00 / 1e6

# Values from template.yaml.
SECRETS = 5
ALARM_METRICS = 16
MESSAGE_ALARM_METRICS = 12
MESSAGE_SECRETS = 3
COURIER_ROUNDS_A_DAY = 288
WATCHDOG_ROUNDS_A_DAY = 96
FUNCTION_GB = 0.5
ADMIN_GB = 1.0
# A metric costs for each hour in which it is sent: the watchdog's three for every hour, a run's seven for one a day.
WATCHDOG_METRICS = 3
RUN_METRICS = 7

# The courier sends four metrics in every hour, feedback three in each hour in which it is called.
MESSAGE_METRICS = 7

# The upper limits of docs/performance.md, and measured values where it has none.
COLD_START_SECONDS = 2.0
RUN_SECONDS_AT_LEAST = 1.0
RUN_SECONDS_A_MILLION = 20.0
ROUND_SECONDS = 2.0
ADMIN_SECONDS = 0.5
COURIER_SECONDS = 1.0
MESSAGES_A_SECOND = 10
FEEDBACK_SECONDS = 0.3
LOG_BYTES = 4_000
SECRET_CALLS_PER_INVOCATION = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill: `quantity` a month times `price`; `shown` is the quantity's format."""

    what: str
    quantity: float
    price: float
    shown: str = "{:,.0f}"

    @property
    def dollars(self) -> float:
        return self.quantity * self.price


def bill(assignments: int, admin_requests: int = 1_000) -> list[Line]:
    """The month's lines for `assignments` evaluated daily and `admin_requests` a month."""
    run = COLD_START_SECONDS + max(RUN_SECONDS_AT_LEAST, assignments / 1e6 * RUN_SECONDS_A_MILLION)
    rounds = WATCHDOG_ROUNDS_A_DAY * DAYS
    # The cron function waits while the scheduler function works: both are paid. 60 s of work is one call.
    calls = DAYS * (1 + int(run // 60))
    return [
        _function("cron", DAYS * run * FUNCTION_GB),
        _function("scheduler", DAYS * run * FUNCTION_GB),
        _function("watchdog", rounds * ROUND_SECONDS * FUNCTION_GB),
        _function("admin", admin_requests * ADMIN_SECONDS * ADMIN_GB),
        Line("EventBridge Scheduler", rounds + DAYS, SCHEDULER_INVOCATION),
        Line("SNS, e-mails", 100, ALERT_EMAIL),
        Line("CloudWatch, dashboard", 1, DASHBOARD_MONTH),
        Line("CloudWatch, metrics", WATCHDOG_METRICS + RUN_METRICS * DAYS / HOURS, METRIC_MONTH, "{:.2f}"),
        *_shared(DAYS + calls + rounds + admin_requests, SECRETS, ALARM_METRICS),
    ]


def message_bill(emails: int) -> list[Line]:
    """The costs of `emails` a month, and as many pushes. Each e-mail causes one event, usually its delivery."""
    rounds = COURIER_ROUNDS_A_DAY * DAYS
    return [
        _function("courier", (rounds * COURIER_SECONDS + emails / MESSAGES_A_SECOND) * FUNCTION_GB),
        _function("feedback", emails * FEEDBACK_SECONDS * FUNCTION_GB),
        Line("EventBridge Scheduler", rounds, SCHEDULER_INVOCATION),
        Line("EventBridge, events", emails, EVENT),
        Line("SES, e-mails", emails, SES_EMAIL),
        Line("SNS, pushes", emails, PUSH),
        Line("CloudWatch, metrics", MESSAGE_METRICS, METRIC_MONTH),
        *_shared(rounds + emails, MESSAGE_SECRETS, MESSAGE_ALARM_METRICS),
    ]


def _function(name: str, gb_seconds: float) -> Line:
    return Line(f"Lambda, {name}", gb_seconds, LAMBDA_GB_SECOND_ARM64, "{:,.0f} GB-s")


def _shared(invocations: float, secrets: int, alarm_metrics: int) -> list[Line]:
    """The costs of each invocation, and of a month."""
    return [
        Line("Lambda, requests", invocations, LAMBDA_REQUEST),
        Line("Secrets Manager, secrets", secrets, SECRET_MONTH),
        Line("Secrets Manager, calls", invocations * SECRET_CALLS_PER_INVOCATION, SECRET_CALL),
        Line("CloudWatch, alarms", alarm_metrics, ALARM_METRIC_MONTH, "{} metrics"),
        Line("CloudWatch, logs", invocations * LOG_BYTES / 1e6, LOG_MB, "{:,.0f} MB"),
    ]


def as_markdown(assignments: list[int]) -> str:
    """The bills side by side, as a table."""
    return _table([(f"{number:,} assignments", bill(number)) for number in assignments])


def messages_as_markdown(emails: list[int]) -> str:
    """The bills of messages side by side, as a table."""
    return _table([(f"{number:,} e-mails and pushes", message_bill(number)) for number in emails])


def _table(columns: list[tuple[str, list[Line]]]) -> str:
    heads, bills = " | ".join(head for head, _ in columns), [lines for _, lines in columns]
    rows = [f"| a month | {heads} |", "| --- |" + " ---: |" * len(columns)]
    for lines in zip(*bills, strict=True):
        cells = " | ".join(f"{line.shown.format(line.quantity)}: ${line.dollars:.2f}" for line in lines)
        rows.append(f"| {lines[0].what} | {cells} |")
    totals = " | ".join(f"**${sum(line.dollars for line in lines):.2f}**" for lines in bills)
    return "\n".join([*rows, f"| **all** | {totals} |"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.tools.costs", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--assignments", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--emails", type=int, nargs="+", default=[10_000, 1_000_000])
    options = parser.parse_args()
    print(as_markdown(options.assignments), messages_as_markdown(options.emails), sep="\n\n")


if __name__ == "__main__":
    main()
