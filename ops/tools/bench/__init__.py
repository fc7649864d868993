"""The benchmark: the numbers that the design promises, measured side by side in one run."""
