"""
The local stack: everything production has, on loopback, gone when its starter is gone.

    postgres · keeper      a PostgreSQL server of our own (binaries: where its programs come from)
    database · supabase    databases on it that look like Supabase's, migrated
    aws                    Secrets Manager, SNS and Scheduler, by moto
    function_url · invoke  Lambda's two doors: over HTTP, and by event
"""
