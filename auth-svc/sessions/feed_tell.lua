-- Tells the watchers of sessions that have ended; their keys are gone already.
-- KEYS: the watchers, the ended sessions. ARGV: how many to keep, ids. Answers the number of the last one
-- told (0-0: nobody watches) and all watchers, none when they are of another timeline (feed_watch.lua).
local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local timeline = redis.call('HGET', KEYS[1], '')
if not timeline or string.sub(timeline, 1, #replication) ~= replication then
    return {'0-0', {}}
end
local last = '0-0'
if redis.call('HLEN', KEYS[1]) > 1 + redis.call('HEXISTS', KEYS[1], '#') then
    for i = 2, #ARGV do
        last = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 's', ARGV[i])
        if type(last) ~= 'string' then
            -- No memory to tell them with. Without a list all of them have to begin anew, with nothing kept.
            redis.call('DEL', KEYS[1])
            return {'0-0', {}}
        end
    end
end
return {last, redis.call('HGETALL', KEYS[1])}
