"""Contact dates: the admin's correction of one. Contact itself is logged by the database (migrations, contact_hook)."""
