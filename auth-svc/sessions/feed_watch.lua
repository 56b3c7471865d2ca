-- A watcher's question: says it has forgotten all up to its position, and is told what has ended since.
-- KEYS: the watchers, the ended sessions. ARGV: watcher (empty: only a look at all of them), position, most
-- ids, a random text, most watchers. Answers timeline, position, everything?, all watchers, ids.
--
-- The timeline names this server's data: replication's id is another one after each restart and each
-- fail-over, the random text after a flush. Watchers of another timeline have to begin anew.
local replication = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local timeline = redis.call('HGET', KEYS[1], '')
if not timeline or string.sub(timeline, 1, #replication) ~= replication then
    timeline = replication .. ARGV[4]
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], '', timeline)
end
if ARGV[1] == '' then
    return {timeline, '0-0', 1, redis.call('HGETALL', KEYS[1]), {}}
end

local function before(a, b)
    local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
    local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
    if a_ms == b_ms then return tonumber(a_seq) < tonumber(b_seq) end
    return tonumber(a_ms) < tonumber(b_ms)
end

local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) + 2 then
    return redis.error_reply('FULL too many watchers')
end

local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local last = newest and newest[1] or '0-0'
local heard = '0-0'
local everything = true
if known and string.sub(ARGV[2], 1, #timeline + 1) == timeline .. ' ' then
    local position = string.match(string.sub(ARGV[2], #timeline + 2), '^%d+%-%d+$')
    if position and not before(last, position) then
        heard = position
        everything = false
    end
end

local ids = {}
if not everything then
    local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    if oldest and before(heard, oldest[1]) then
        everything = true -- some may have been trimmed away
    else
        local entries = redis.call('XRANGE', KEYS[2], '(' .. heard, '+', 'COUNT', tonumber(ARGV[3]) + 1)
        everything = #entries > tonumber(ARGV[3])
        for i = 1, everything and 0 or #entries do
            ids[i] = entries[i][2][2]
        end
    end
end

-- The number tells this question from every other: whoever sees it for the first time knows that the
-- question was sent before. What is noted as heard is what the watcher said itself, never what it is told now.
local number = redis.call('HINCRBY', KEYS[1], '#', 1)
redis.call('HSET', KEYS[1], ARGV[1], number .. ' ' .. heard)
return {timeline, last, everything and 1 or 0, redis.call('HGETALL', KEYS[1]), ids}
