"""The local stack: what production has, on loopback. It ends with the process that started it."""
