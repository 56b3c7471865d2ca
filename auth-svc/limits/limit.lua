-- One request against several buckets at once, by the generic cell rate algorithm: all are charged, or none is.
-- A bucket is one number, the moment at which it will be full again; it expires then.
-- Strikes are the tries since the last right one and the moment of the last, which make the next wait. They are
-- raised here, before it is known whether the try is right, so that tries in parallel find no gap.
--
-- KEYS: of the buckets. Then, if ARGV says so, a mark: while it exists, accounts' buckets are left alone. Then, if
-- there are strikes: the account's, and the pair's (if there is one), which count instead while the mark exists.
-- ARGV: how many buckets; '1' for a mark; three for each bucket: its requests, the microseconds in which one comes
-- back, '1' for an account's; and for strikes: after how many the next waits, after how many for so many
-- microseconds (0: never), and those.
-- Answers {0}; {-1}: as well, and it was the last try before that long wait; or {which bucket refuses (the one
-- behind the last: the strikes), microseconds until it would not, microseconds until it is full}: of several the one that
-- takes longest.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local n, marked = tonumber(ARGV[1]), ARGV[2] == '1'
local known = marked and redis.call('EXISTS', KEYS[n + 1]) == 1
local full_at = {}
local worst, wait, reset = 0, 0, 0
for i = 1, n do
    local count, step, of_account = ARGV[3 * i], tonumber(ARGV[3 * i + 1]), ARGV[3 * i + 2] == '1'
    if not (known and of_account) then
        local room = count * step
        local at = tonumber(redis.call('GET', KEYS[i]) or '') or now
        if not (at > now) then at = now end -- nor a number that is none
        -- Not past empty, whatever a lowered rate or another clock left behind; and it fills from now on. It has room
        -- for one: nobody is refused a first try because Redis' clock was ahead.
        if at > now + room then
            at = now + room - step
            redis.call('SET', KEYS[i], at, 'PXAT', math.ceil(at / 1000))
        end
        local over = at + step - now - room
        if over > wait then worst, wait, reset = i, over, at - now end
        full_at[i] = at + step
    end
end

local first = n + (marked and 2 or 1) -- of the keys of strikes
local strikes = known and KEYS[first + 1] or KEYS[first]
local slow, lock, lock_us = tonumber(ARGV[3 * n + 3]), tonumber(ARGV[3 * n + 4]), tonumber(ARGV[3 * n + 5])
local struck = 0
if strikes then
    local had, at = string.match(redis.call('GET', strikes) or '', '^(%d+) (%d+)$')
    struck = tonumber(had or '') or 0
    at = tonumber(at or '') or 0
    if at > now then
        at = now
        redis.call('SET', strikes, string.format('%d %.0f', struck, at), 'PX', math.ceil(lock_us / 1000))
    end
    local pause = slow > 0 and math.min(math.floor(struck / slow), 10) * 1000000 or 0
    if lock > 0 and struck >= lock and not known then pause = lock_us end
    if at + pause - now > wait then worst, wait, reset = n + 1, at + pause - now, at + pause - now end
end
if worst > 0 then return {worst, wait, reset} end

for i, at in pairs(full_at) do
    redis.call('SET', KEYS[i], at, 'PXAT', math.ceil(at / 1000)) -- 16 digits, of the 17 that Redis writes of a number
end
if not strikes then return {0} end
redis.call('SET', strikes, string.format('%d %.0f', struck + 1, now), 'PX', math.ceil(lock_us / 1000))
return {struck + 1 == lock and not known and -1 or 0}
