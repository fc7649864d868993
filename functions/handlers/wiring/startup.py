"""
A wrong setting stops a function before its first event.

Lambda then reports an init error, and a deployment that is wrong is known to be so at once and not at 06:00.
Anywhere else, in tests and tools, importing a handler needs no environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from reminders.settings import Environment

# The runtime's own variable: "Defined runtime environment variables" in Lambda's documentation.
RUNTIME = "AWS_LAMBDA_RUNTIME_API"


def check(*reads: Callable[[Environment], object]) -> None:
    """Read settings, under Lambda's runtime alone; raise the first `SettingsError`."""
    if RUNTIME in os.environ:
        for read in reads:
            read(os.environ)
