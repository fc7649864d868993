"""What `reminders local` alone needs. Only this package may import the local stack (ops.local) and ops.tools."""
