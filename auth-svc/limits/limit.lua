-- One request against several buckets at once, by the generic cell rate algorithm: all are charged, or none is.
-- A bucket is one number, the moment at which it will be full again; it expires then.
--
-- KEYS: of the buckets. One more may follow: while it exists, accounts' buckets are left alone.
-- ARGV: three for each bucket: its requests, the microseconds in which one comes back, '1' for an account's.
-- Answers {0}, or {which bucket refuses, microseconds until it would not, microseconds until it is full}: of
-- several the one that takes longest.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n = #ARGV / 3
local known = #KEYS > n and redis.call('EXISTS', KEYS[n + 1]) == 1
local full_at = {}
local worst, wait, reset = 0, 0, 0
for i = 1, n do
    if not (known and ARGV[3 * i] == '1') then
        local step = tonumber(ARGV[3 * i - 1])
        local room = ARGV[3 * i - 2] * step
        local at = tonumber(redis.call('GET', KEYS[i]) or '') or now
        if not (at > now) then at = now end -- nor a number that is none
        -- Not past empty, whatever a lowered rate or another server's clock left behind.
        if at > now + room then at = now + room end
        local over = at + step - now - room
        if over > wait then worst, wait, reset = i, over, at - now end
        full_at[i] = at + step
    end
end
if worst > 0 then return {worst, wait, reset} end
for i, at in pairs(full_at) do
    redis.call('SET', KEYS[i], at, 'PXAT', math.ceil(at / 1000)) -- 16 digits, of the 17 that Redis writes of a number
end
return {0}
