"""
Builds the collaborators: the only code that uses settings, secrets, connections and packages together.

There is a module for each function, so that no function imports what it does not use. `common` is for all functions,
`alerts` for those that send alerts. `startup` stops a function whose configuration is wrong.

Each invocation opens its own connections. A daily function gains nothing by keeping them, and a connection that
was open while Lambda paused the process may be broken. Only secrets are cached in warm processes.
"""
