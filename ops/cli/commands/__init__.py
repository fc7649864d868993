"""One module a command, each with a `command`; `ops.cli.main` loads it by name."""
