-- Requests for wrk: arguments are the kind, the file's size, the block's, and whether open ranges
-- are capped by the server. Every answer is checked: 206, and of the length asked for.
local kind, size, block, capped, path, seed

function setup(thread)
    thread:set("number", tostring(thread):gsub("%D", ""):sub(-6))
end

function init(arguments)
    kind, size, block = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
    capped, path, seed = arguments[4] == "capped", arguments[5], tonumber(arguments[6])
    math.randomseed(seed + tonumber(number or 0))
    blocks = math.floor(size / block)
    wrong = 0
end

function request()
    local k = math.random(0, blocks - 1)
    local first, last = k * block, (k + 1) * block - 1
    if kind == "seek" then
        first = first + math.random(1, block - 1)
    elseif kind == "span" then
        first = first + math.random(0, block - 65536)
        last = first + 65535
    end
    local range = "bytes=" .. first .. "-" .. last
    if kind == "seek" and capped then
        range = "bytes=" .. first .. "-"
    end
    return wrk.format("GET", path, { ["Range"] = range })
end

function response(status)
    if status ~= 206 then
        wrong = wrong + 1
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        "RESULT %d %d %d %d %d\n", summary.duration, summary.requests, summary.bytes,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(99)))
end
