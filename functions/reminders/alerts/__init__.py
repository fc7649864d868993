"""Alerts: which outcome alerts, what the message says, and how it reaches the operator."""
