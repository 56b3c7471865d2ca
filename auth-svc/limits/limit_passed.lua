-- The owner of an account was let in. KEYS: the account's strikes; then, if the client's network is known: the mark of
-- an account's known network, and what is the pair's. ARGV: milliseconds for which the mark lasts; 0: none is set.
-- What strangers have collected stays while the owner comes from where he is known.
if not (KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1) then redis.call('DEL', KEYS[1]) end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
if KEYS[2] and tonumber(ARGV[1]) > 0 then redis.call('SET', KEYS[2], '1', 'PX', ARGV[1]) end
return 0
