"""The benchmark: the numbers that docs/performance.md promises, measured side by side in one run."""
