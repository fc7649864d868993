"""Text from outside is data: it is shown as it is, and never obeyed."""

from __future__ import annotations

from reminders.text import is_printable, printable
from tests.helpers.cases import table


@table(
    ("text", "shown"),
    [
        ("a\x00b", r"a\x00b"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b31m", r"\x9b31m"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("isolate\u2066d\u2069", r"isolate\u2066d\u2069"),
        ("line\u2028separator", r"line\u2028separator"),
        ("paragraph\u2029separator", r"paragraph\u2029separator"),
        ("half a pair \ud800", r"half a pair \ud800"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("two\r\nlines\tand a tab", "two  lines and a tab"),
    ],
)
def test_unsafe_characters(text: str, shown: str) -> None:
    """Every character that a screen would obey, or PostgreSQL refuse, is written as its escape."""
    assert shown == printable(text)
    assert not is_printable(text)
    assert is_printable(printable(text))


@table("text", ["Blåbærsyltetøy", "نمی‌خواهم", "👩‍👩‍👧", "[/x] <b> & {{7*7}}", ""])
def test_words_stay_as_they_are(text: str) -> None:
    """Letters of every script, emoji and punctuation are no danger by themselves."""
    assert text == printable(text)
    assert is_printable(text)
