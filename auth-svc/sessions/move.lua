-- A session ends later than it was named for; without the name, it is named again.
-- KEYS  those with an end, by their expiry
-- ARGV  id, expires, in how many seconds they may go
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3], 'NX') -- a first expiry
redis.call('EXPIRE', KEYS[1], ARGV[3], 'GT') -- only ever extended
return 1
