-- Strikes a watcher off whose lease is over, unless it has asked again meanwhile.
-- KEYS: the watchers. ARGV: watcher, its value as it was seen.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then
    return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
