-- Names a session of a user, and says which others are too many beside it.
-- KEYS  those with an end, by their expiry; those without, by their beginning
-- ARGV  id, created, expires (0: never), most at once (0: any number), most to end now, in how many seconds the first
--       set may go (0: not by this one)
local ending, endless = KEYS[1], KEYS[2]
redis.call('ZREMRANGEBYSCORE', ending, '-inf', ARGV[2])
local surplus, most = {}, tonumber(ARGV[4])
if most > 0 then
    local n = redis.call('ZCARD', ending) + redis.call('ZCARD', endless) + 1 - most
    n = math.min(n, tonumber(ARGV[5]))
    if n > 0 then surplus = redis.call('ZRANGE', ending, 0, n - 1) end
    if n > #surplus then
        for _, id in ipairs(redis.call('ZRANGE', endless, 0, n - #surplus - 1)) do
            surplus[#surplus + 1] = id
        end
    end
end
if ARGV[3] == '0' then
    redis.call('ZADD', endless, ARGV[2], ARGV[1])
else
    redis.call('ZADD', ending, ARGV[3], ARGV[1])
    redis.call('EXPIRE', ending, ARGV[6], 'NX') -- a first expiry
    redis.call('EXPIRE', ending, ARGV[6], 'GT') -- only ever extended
end
return surplus
