"""
The application packages. Each imports only from those to the right (docs/architecture.md#the-packages).

    console ──▶ runs ──▶ scheduling, contacts, alerts, messages ──▶ database, secrets, identity ──▶ settings, errors …
"""
