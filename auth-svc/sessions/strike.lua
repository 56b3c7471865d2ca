-- Strikes a field off a hash, unless it has changed meanwhile: a watcher whose lease is over, unless it has asked
-- again; a role that was taken from all, unless another of its name is being taken away by now.
-- KEYS: the hash. ARGV: field, its value as it was seen.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
