"""Measurements of the numbers that the design promises."""
