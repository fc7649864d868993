"""
The console: pages for an organisation's admins, made on the server.

    reading (SQL) ──▶ pages (view models: text that is ready to be shown) ──▶ rendering (templates)
    auth (Supabase Auth's REST API) ──▶ session (cookies)

This package uses no HTTP requests and no settings: the handlers read both.
"""
