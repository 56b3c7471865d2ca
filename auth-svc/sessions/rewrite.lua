-- Puts a record in the place of just this one.
-- KEYS: the session. ARGV: the record that stands there, the new one, in how many seconds it expires (0: as before).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then
    redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
else
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
return 1
