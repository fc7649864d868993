"""
Messages: how a notification reaches a person, by e-mail and by push.

`courier` composes, claims, sends and settles; `email` and `push` are the channels; `templates` writes the words;
`feedback` records what providers report later; `unsubscribe` signs the link in each mail; `backlog` is the watchdog's.
"""

# As alerts about messages name what they are about.
JOB_NAME = "message-courier"
