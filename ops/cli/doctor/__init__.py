"""
The checks of `reminders doctor`, one small function each, and a fix beside every finding.

    examination   what the checks share: the target, one connection, secrets read once
    database · rights · logins · cloud   the checks, by what they look at
    plan          which checks there are, in the order that helps: what is broken first explains what comes after

A check yields findings and may raise: what it raises becomes a finding of its own, so that one broken part does
not hide the others.
"""
