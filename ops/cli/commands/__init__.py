"""One module per command, with its `command`; `ops.cli.main` imports it by name."""
