"""
The checks of `reminders doctor`, one small function each; each finding has its fix.

    examination   what the checks share: the target, one connection, secrets read once
    database · rights · logins · cloud   the checks, by what they look at
    plan          the list of checks, in order: an early failure explains later ones

A check yields findings and may raise: an exception becomes a finding, so that one broken part does not hide the
others.
"""
