-- The owner of an account was let in. KEYS: the mark of an account's known network, then the buckets of the pair.
-- ARGV: milliseconds for which the mark lasts; 0: none is set.
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
if tonumber(ARGV[1]) > 0 then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 0
