"""What a command works on: base (the interface), deployed, local, database; choose picks one."""
