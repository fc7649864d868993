"""The functions' handlers: each module parses one kind of event, calls one package once, and maps the result."""
