-- Requests for wrk. Arguments: the kind, the file's size, the block's, whether the server caps open
-- ranges, the target, the seed, and a cookie. An answer of 400 and above counts as an error.
--
-- Kinds: `seek`, from anywhere to the block's end; a number, so many bytes anywhere within a block;
-- `whole`, without a Range.
local kind, size, block, capped, path, blocks, length, cookie

function init(arguments)
    kind, size, block = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
    capped, path = arguments[4] == "capped", arguments[5]
    math.randomseed(tonumber(arguments[6]))
    blocks = math.floor(size / block)
    length = tonumber(kind)
    if arguments[7] ~= "" then
        cookie = arguments[7]
    end
end

function request()
    if kind == "whole" then
        return wrk.format("GET", path)
    end
    local k = math.random(0, blocks - 1)
    local first, last = k * block, (k + 1) * block - 1
    if kind == "seek" then
        first = first + math.random(1, block - 1)
    else
        first = first + math.random(0, block - length)
        last = first + length - 1
    end
    local range = "bytes=" .. first .. "-" .. last
    if kind == "seek" and capped then
        range = "bytes=" .. first .. "-"
    end
    return wrk.format("GET", path, { ["Range"] = range, ["Cookie"] = cookie })
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        "RESULT %d %d %d %d\n", summary.duration, summary.requests, summary.bytes,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
