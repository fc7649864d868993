"""The doors: each module parses one kind of event, calls one room once, and maps the answer."""
