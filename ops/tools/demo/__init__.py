"""The demo: the life of the service on this machine, told and checked."""
