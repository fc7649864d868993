"""
The checks of `reminders doctor`, one small function each; each finding has its fix.

    examination   what the checks share: the target, one connection, secrets read once
    plan          the list of checks, in order: an early failure explains later ones

The other modules are the checks, by what they look at: database, adoption, shapes, rights, role_settings, logins,
cloud and messages.

A check yields findings and may raise: an exception becomes a finding, so that one broken part does not hide the
others.
"""
