"""The demo: six days of the service on this machine, with every step checked."""
