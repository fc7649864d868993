"""What the API's description says about a reason."""

from __future__ import annotations

import re
import sys
import unicodedata

from handlers.admin_api import REASON
from reminders.text import is_printable


def test_pattern_of_a_reason_knows_every_unprintable_character() -> None:
    """The pattern that clients read refuses exactly the characters that no one should be shown."""
    # Unassigned ones become known with a later version of Python.
    known = (chr(code) for code in range(sys.maxunicode + 1))
    characters = [c for c in known if unicodedata.category(c) != "Cn"]
    pattern = re.compile(REASON)
    surrogates = {chr(code) for code in range(0xD800, 0xE000)}  # no JSON text that is UTF-8 has one
    differing = {c for c in characters if is_printable(c) != bool(pattern.match(f"a{c}a"))}
    assert surrogates == differing
