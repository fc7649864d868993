"""
Builds the collaborators: the only code that knows settings, secrets, connections and packages.

A module for each function, so that none imports what it does not use; `common` has what they all share,
`alerts` what those that send alerts share, and `startup` stops one whose configuration is wrong.

Each invocation opens its own connections. A daily function gains nothing by keeping them, and a connection that
was open while Lambda paused the process may be broken. Only secrets are cached in warm processes.
"""
