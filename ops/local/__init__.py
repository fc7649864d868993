"""
The local stack: what production has, on loopback; it ends with the process that started it.

    postgres       a PostgreSQL server (keeper: stops it, binaries: its programs, cluster: its settings)
    server         that server, or an existing one
    database       databases on it that look like Supabase's (supabase.sql), migrated
    aws            Secrets Manager, SNS and Scheduler, by moto
    function_url   a Lambda Function URL (url_payload: HTTP to event, answer to HTTP)
    invoke         a Lambda invocation by event
"""
