"""
The local stack: everything production has, on loopback, gone when its starter is gone.

    postgres       a PostgreSQL server of our own (keeper: its end, binaries, cluster: its files)
    server         one of our own or an existing one, as databases see it
    database       databases on it that look like Supabase's (supabase.sql), migrated
    aws            Secrets Manager, SNS and Scheduler, by moto
    function_url   Lambda's door over HTTP (url_payload: the two translations)
    invoke         Lambda's door by event
"""
