-- Takes from one or more rate limits at once, or from none of them.
--
-- Each limit is GCRA in its leaky-bucket form (ITU-T I.371, annex A): a level that rises with every request and
-- leaks at the limit's rate. Integers only: the level is counted in cost x period, the leak in limit per
-- millisecond, so nothing is ever rounded in the caller's favour. Exact while limit x period stays below 2^53.
-- The clock is the server's. Levels have no expiry: volatile-ttl may evict whatever has one.
--
-- KEYS[i]  the level of limit i
-- ARGV     limit, period in ms and cost of each, three to a limit
-- Answers  1 or 0, then for each limit: remaining, ms until it is full again, ms until its cost fits (-1: never)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local levels, answer, allowed = {}, {}, 1

for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[3 * i - 2])
  local period = tonumber(ARGV[3 * i - 1])
  local cost = tonumber(ARGV[3 * i])
  local capacity = limit * period
  local level = 0
  local stored = redis.call('GET', key)
  if stored then
    local before, at = string.match(stored, '^(%d+) (%d+)$')
    -- A clock that went back (another node took over) leaks nothing, and does not wait to catch up.
    level = math.max(0, tonumber(before) - math.max(0, now - tonumber(at)) * limit)
  end
  local excess = level + cost * period - capacity
  local wait = 0
  if cost > limit then
    wait = -1
  elseif excess > 0 then
    wait = math.ceil(excess / limit)
  end
  if wait ~= 0 then
    allowed = 0
  end
  levels[i] = level
  answer[3 * i + 1] = wait
end

for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[3 * i - 2])
  local period = tonumber(ARGV[3 * i - 1])
  local level = levels[i]
  if allowed == 1 then
    level = level + tonumber(ARGV[3 * i]) * period
    redis.call('SET', key, string.format('%.0f %.0f', level, now))
  end
  answer[3 * i - 1] = math.max(0, math.floor((limit * period - level) / period))
  answer[3 * i] = math.ceil(level / limit)
end

answer[1] = allowed
return answer
