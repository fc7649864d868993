"""Contact dates: the admin's correction of one."""
