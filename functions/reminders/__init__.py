"""
The rooms behind the doors.

    runs ──▶ scheduling, contacts, alerts ──▶ database, secrets ──▶ settings, telemetry, errors
"""
