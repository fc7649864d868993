-- name: shard_bounds
-- The first ids of all shards but the first; `shards` NULL: as many as the number of open assignments needs.
SELECT reminder_private.shard_bounds(%(shards)s)
