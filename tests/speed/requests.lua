-- wrk script: each request takes the next token (and id) of a list. Arguments: KIND TOKENS-FILE [FIRST-ID LAST-ID]
-- A line of the file is a token, for check and refresh an access and a refresh token, for signin a body; signup needs none.
local tokens, next_token, kind, first, last, id = {}, 0, "read", 1, 1, 1
local pairs_of = {} -- requests, made once
local born = os.time() -- in names that nobody has

function init(args)
    kind = args[1]
    for line in io.lines(args[2]) do tokens[#tokens + 1] = line end
    first, last = tonumber(args[3] or 1), tonumber(args[4] or 1)
    id = first
    if kind == "check" or kind == "refresh" then
        for i, line in ipairs(tokens) do
            local access, refresh = line:match("(%S+) (%S+)")
            pairs_of[i] = kind == "check" and wrk.format("GET", "/check", { ["access-token"] = access })
                or wrk.format("GET", "/refresh", { ["refresh-token"] = refresh })
        end
    end
end

local json = { ["content-type"] = "application/json" }

function request()
    if kind == "signin" then
        next_token = next_token % #tokens + 1
        return wrk.format("POST", "/api/users/signin", json, tokens[next_token])
    end
    if kind == "signup" then
        id = id + 1
        local name = string.format("bench%x-%d", born, id)
        return wrk.format("POST", "/register", json, string.format(
            '{"username":"%s","email":"%s@example.com","password":"correct horse","password_confirm":"correct horse"}', name, name))
    end
    next_token = next_token % #tokens + 1
    if kind == "check" or kind == "refresh" then return pairs_of[next_token] end
    local headers = { authorization = "Bearer " .. tokens[next_token], ["content-type"] = "application/json" }
    if kind == "list" then return wrk.format("GET", "/api/businesses", headers) end
    if kind == "create" then
        return wrk.format("POST", "/api/businesses", headers,
            '{"business":{"name":"Company of the bench","description":"Short description of it","tag":"IT, Software"}}')
    end
    id = id < last and id + 1 or first
    return wrk.format("GET", "/api/businesses/" .. id, headers)
end

function done(summary, latency)
    io.write(string.format("RESULT %.1f %d %d %d\n", summary.requests / (summary.duration / 1e6),
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
