"""
The application packages. Each imports only from those to the right.

    runs ──▶ scheduling, contacts, alerts ──▶ database, secrets ──▶ settings, telemetry, errors
"""
