-- name: try_run_lock
-- Transaction-scoped: fits a transaction pooler, and a crash frees it.
-- The limits are local to the transaction, too: a plain SET would stay on the pooler's server connection.
-- They come with the lock in one statement, so that there is no lock without its lease.
SELECT
    public.try_run_lock(%(key)s) AS locked,
    set_config('idle_in_transaction_session_timeout', %(lease_ms)s, true),
    set_config('client_connection_check_interval', '1000', true)
