"""
Where the collaborators are built: the only code that knows settings, secrets, connections and rooms alike.

A module for each function, so that none imports what it does not use; `common` has what they all share,
`alerts` what those that alert share, and `startup` stops one that is configured wrongly.

Connections are made anew for each invocation. A daily function gains nothing by keeping them, and a
connection that slept through a frozen Lambda is a fault of its own. Only secrets are kept, cached, in warm
processes.
"""
