"""
The functions' handlers: each module parses one kind of event, calls one package once, and maps the result.

The settings that all functions have are checked here, before a handler imports Powertools: with a wrong value, the
import of Powertools itself would fail, with an error that does not name the variable.
"""

from handlers.wiring import startup

startup.check()
