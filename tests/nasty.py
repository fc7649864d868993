"""Text that acts on a reader's screen, is taken for markup, or cannot be stored. For every surface that shows text."""

from __future__ import annotations

import re

NASTY = {
    "rich's closing tag": "[/x] [/]",
    "rich's style": "[red]word[/red] [word]",
    "rich's link": "[link=https://evil.example]click[/link]",
    "emoji code": ":pile_of_poo:",
    "escape sequence": "\x1b[31mred\x1b[0m\x1b]8;;https://evil.example\x07x",
    "C1 control": "\x9b31m\x85next",
    "delete, bell, backspace": "\x7f\x07\x08",
    "carriage return": "fine\rnot fine",
    "line feed": "one\n✓ database: all is well",
    "bidirectional override": "\u202egnp.exe\u2066\u2069",
    "line and paragraph separator": "a\u2028b\u2029c",
    "zero width": "pass\u200bword\ufeff",
    "tag of HTML": "<script>alert(1)</script>&amp;",
    "Slack's mention": "<!channel> <@U123> <https://evil.example|ok>",
}
# What must never reach a terminal, a log or a message; the line feed is the printer's own.
ACTS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def acting(text: str) -> list[str]:
    """The characters of `text` that act on a reader's screen."""
    return ACTS.findall(text)
