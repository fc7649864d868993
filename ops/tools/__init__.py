"""What developers run from the Makefile: build, demo, benchmark, costs. Nothing here is deployed."""
