"""What people run, none of it shipped to Lambda: set-up, local stack, commands, demo, benchmark."""
