"""Names of organisations that have broken other people's mails."""

from __future__ import annotations

NASTY_NAMES = [
    "<script>alert(1)</script>",
    '"quotes" & <a href="https://evil.example">link</a>',
    "Line\r\nBcc: everybody@example.org",
    "{{ 7 * 7 }} {% raw %}",
    "عربى \u202e gnitirw",
    "😀 Emoji Charity 👩‍👩‍👧",
    "x" * 500,
    "\x00\x1b[31mred",
]
