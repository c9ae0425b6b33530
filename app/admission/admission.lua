-- An organization's limits and budgets: reserve from all of them at once or from none, settle once.
--
-- KEYS[1]  hash: `generation` of this memory; `l:…` "level at_ms held" of a rate limit; `c:…` leases out;
--          `b:…` "month spent held" of a budget in micro-dollars, month = year * 12 + month - 1 in UTC
-- KEYS[2]  sorted set: leases by their end (ms)       KEYS[3]  hash: what each lease holds
-- KEYS[4]  stream: usage on its way to DynamoDB       KEYS[5]  marks a request charged in this
--          generation without its lease
-- ARGV[1]  reserve, settle, sweep, seed or void; what follows, and the answer, is told at each
--
-- A rate limit is GCRA in its leaky-bucket form (ITU-T I.371, annex A): a level that rises with use and leaks
-- by `limit` a tick. Integers only, the level counted in cost x period, so nothing is rounded in the caller's
-- favour; exact below 2^53. Requests are poured in at once. Tokens and money are held until they are settled,
-- and held counts like used, so what is settled can never exceed what was free. The clock is the server's.
-- Nothing here has an expiry but KEYS[5]: volatile-ttl may evict whatever has one.

local EXPIRED_AT_ONCE = 16
local NEVER, HARD = 9007199254740991, 9007199254740990
local UNKNOWN_WAIT_MS = 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local values, changed = {}, {}

local function load(fields)
  local found = redis.call('HMGET', KEYS[1], unpack(fields))
  for i, field in ipairs(fields) do
    if values[field] == nil then
      values[field] = found[i]
    end
  end
end

local function store(field, value)
  values[field] = value
  changed[field] = value
end

local function save()
  local pairs_of = {}
  for field, value in pairs(changed) do
    pairs_of[#pairs_of + 1] = field
    pairs_of[#pairs_of + 1] = value
  end
  if #pairs_of > 0 then
    redis.call('HSET', KEYS[1], unpack(pairs_of))
  end
end

-- Days to a civil date, proleptic Gregorian, years that begin in March.
local function month_of(ms)
  local days = math.floor(ms / 86400000) + 719468
  local era = math.floor(days / 146097)
  local day = days - era * 146097
  local year = math.floor(
    (day - math.floor(day / 1460) + math.floor(day / 36524) - math.floor(day / 146096)) / 365)
  local of_year = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local from_march = math.floor((5 * of_year + 2) / 153)
  return (year + era * 400) * 12 + from_march + 2
end

-- The level after what has leaked since, and what is held.
local function bucket(field, limit, tick)
  local level, at, held = string.match(values[field] or '0 0 0', '^(%d+) (%d+) (%d+)$')
  -- A clock that went back (another node took over) leaks nothing, and does not wait to catch up.
  local ticks = math.max(0, math.floor(now / tick) - math.floor(at / tick))
  return math.max(0, tonumber(level) - ticks * limit), tonumber(held)
end

local function store_bucket(field, level, held)
  store(field, string.format('%.0f %.0f %.0f', level, now, held))
end

-- Spent in this month, and what is held. A clock that went back does not bring an old month back.
local function budget(field)
  local month, spent, held = string.match(values[field] or '0 0 0', '^(%d+) (%d+) (%d+)$')
  local this = month_of(now)
  if this > tonumber(month) then
    return this, 0, tonumber(held)
  end
  return tonumber(month), tonumber(spent), tonumber(held)
end

local function store_budget(field, month, spent, held)
  store(field, string.format('%.0f %.0f %.0f', month, spent, held))
end

-- Gives a lease back. tokens, money: what was used; nil: all that is held.
local function release(id, packed, tokens, money)
  local lease = cmsgpack.unpack(packed)
  local fields = {}
  for i = 1, #lease.limits, 5 do fields[#fields + 1] = lease.limits[i] end
  for _, field in ipairs(lease.counts) do fields[#fields + 1] = field end
  for _, field in ipairs(lease.budgets) do fields[#fields + 1] = field end
  if #fields > 0 then
    load(fields)
  end
  for i = 1, #lease.limits, 5 do
    local field, limit, period, tick, cost = unpack(lease.limits, i, i + 4)
    local level, held = bucket(field, limit, tick)
    store_bucket(field, level + (tokens or cost) * period, held - cost)
  end
  for _, field in ipairs(lease.counts) do
    store(field, tonumber(values[field] or 0) - 1)
  end
  for _, field in ipairs(lease.budgets) do
    local month, spent, held = budget(field)
    store_budget(field, month, spent + (money or lease.money), held - lease.money)
  end
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  return lease
end

-- Leases that are over are charged in full: nobody knows any more what their requests used.
local function expire(most)
  local due = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
  for _, id in ipairs(due) do
    local packed = redis.call('HGET', KEYS[3], id)
    if packed then
      local lease = release(id, packed)
      redis.call('XADD', KEYS[4], '*', 'id', id, 'generation', values.generation, 'at', now,
        'expired', lease.meta)
    else
      redis.call('ZREM', KEYS[2], id)
    end
  end
  return #due
end

-- reserve: request id, lease in ms, money, meta (opaque, told when it expires), number of limits, counts,
-- budgets; then of each limit: field, limit, capacity, period, tick in ms, cost, 1 if it is held until
-- settled; of each count: field, most; of each budget: field, limit or -1.
-- Answers -1: no generation, seed first. 1, generation: reserved. 0, kind, number: refused by that limit,
-- count or budget. Then in both cases: wait in ms (-1 never, -2 until others settle), now, and of each limit:
-- remaining, ms until it is full again.
local function reserve()
  local id, lease_ms, money, meta = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
  local limits, counts, budgets = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  local first_count = 9 + limits * 7
  local first_budget = first_count + counts * 2
  local fields = {'generation'}
  for i = 9, first_count - 1, 7 do fields[#fields + 1] = ARGV[i] end
  for i = first_count, #ARGV, 2 do fields[#fields + 1] = ARGV[i] end
  load(fields)
  if not values.generation then
    return {-1}
  end
  expire(EXPIRED_AT_ONCE)

  local worst, kind, number = 0, '', 0
  local function refuse(severity, of, n)
    if severity > worst then
      worst, kind, number = severity, of, n
    end
  end
  local levels, held_of = {}, {}
  for n = 1, limits do
    local i = 9 + (n - 1) * 7
    local limit, capacity, period = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local tick, cost = tonumber(ARGV[i + 4]), tonumber(ARGV[i + 5])
    local level, held = bucket(ARGV[i], limit, tick)
    levels[n], held_of[n] = level, held
    local excess = level + (held + cost) * period - capacity
    if cost * period > capacity then
      refuse(NEVER, 'limit', n)
    elseif excess > 0 and (held + cost) * period > capacity then
      refuse(UNKNOWN_WAIT_MS, 'held', n)
    elseif excess > 0 then
      refuse((math.floor(now / tick) + math.ceil(excess / limit)) * tick - now, 'limit', n)
    end
  end
  for n = 1, counts do
    local i = first_count + (n - 1) * 2
    if tonumber(values[ARGV[i]] or 0) >= tonumber(ARGV[i + 1]) then
      refuse(UNKNOWN_WAIT_MS, 'count', n)
    end
  end
  for n = 1, budgets do
    local i = first_budget + (n - 1) * 2
    local most = tonumber(ARGV[i + 1])
    if most >= 0 then
      local _, spent, held = budget(ARGV[i])
      if spent + money > most then
        refuse(HARD, 'budget', n)
      elseif spent + held + money > most then
        refuse(UNKNOWN_WAIT_MS, 'reserved', n)
      end
    end
  end

  local answer = {1, values.generation, 0, 0, now}
  if worst > 0 then
    local wait = worst
    if worst >= HARD then
      wait = -1
    elseif kind ~= 'limit' then
      wait = -2
    end
    answer = {0, kind, number, wait, now}
  else
    local lease = {limits = {}, counts = {}, budgets = {}, money = money, meta = meta}
    for n = 1, limits do
      local i = 9 + (n - 1) * 7
      local period, cost = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 5])
      if ARGV[i + 6] == '1' then
        held_of[n] = held_of[n] + cost
        for _, value in ipairs({ARGV[i], tonumber(ARGV[i + 1]), period, tonumber(ARGV[i + 4]), cost}) do
          lease.limits[#lease.limits + 1] = value
        end
      else
        levels[n] = levels[n] + cost * period
      end
      store_bucket(ARGV[i], levels[n], held_of[n])
    end
    for n = 1, counts do
      local field = ARGV[first_count + (n - 1) * 2]
      store(field, tonumber(values[field] or 0) + 1)
      lease.counts[n] = field
    end
    for n = 1, budgets do
      local field = ARGV[first_budget + (n - 1) * 2]
      local month, spent, held = budget(field)
      store_budget(field, month, spent, held + money)
      lease.budgets[n] = field
    end
    redis.call('ZADD', KEYS[2], now + lease_ms, id)
    redis.call('HSET', KEYS[3], id, cmsgpack.pack(lease))
  end
  for n = 1, limits do
    local i = 9 + (n - 1) * 7
    local limit, capacity, period = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local used = levels[n] + held_of[n] * period
    answer[#answer + 1] = math.max(0, math.floor((capacity - used) / period))
    answer[#answer + 1] = math.ceil(used / limit) * tonumber(ARGV[i + 4])
  end
  return answer
end

-- settle: request id, generation it was reserved in, tokens, money, record ('' when nothing was used), what
-- to do when the lease is gone (append: it may have been settled by an attempt whose answer got lost, so only
-- tell DynamoDB, which counts a request once; charge: it was lost, so charge once), at in ms (0: now), the
-- budgets' fields.
-- Answers -1: no generation. -2, generation: another one, nothing done. 1: settled. 2: charged or appended
-- without a lease. 0: that has been done before.
local function settle()
  local id, generation, tokens, money = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  local record, if_gone, at = ARGV[6], ARGV[7], tonumber(ARGV[8])
  load({'generation'})
  if not values.generation then
    return {-1}
  elseif values.generation ~= generation then
    return {-2, values.generation}
  end
  local packed = redis.call('HGET', KEYS[3], id)
  local status = 1
  if packed then
    release(id, packed, tokens, money)
  else
    status = 2
    if record == '' then
      return {0}
    end
    if if_gone == 'charge' then
      if not redis.call('SET', KEYS[5], '1', 'NX', 'EX', 86400) then
        return {0}
      end
      local this = month_of(now)
      for i = 9, #ARGV do
        load({ARGV[i]})
        local month, spent, held = budget(ARGV[i])
        if at == 0 or month_of(at) == this then
          spent = spent + money
        end
        store_budget(ARGV[i], month, spent, held)
      end
    end
  end
  if record ~= '' then
    redis.call('XADD', KEYS[4], '*', 'id', id, 'generation', generation,
      'at', at > 0 and string.format('%.0f', at) or now, 'record', record)
  end
  return {status}
end

-- seed: the new generation, the month, then of each budget: field, spent. Forgets all but the outbox.
-- Answers 1, generation or 0, the generation that is there already.
local function seed()
  load({'generation'})
  if values.generation then
    return {0, values.generation}
  end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  store('generation', ARGV[2])
  for i = 4, #ARGV, 2 do
    store(ARGV[i], string.format('%s %s 0', ARGV[3], ARGV[i + 1]))
  end
  return {1, ARGV[2]}
end

local operation, answer = ARGV[1], nil
if operation == 'reserve' then
  answer = reserve()
elseif operation == 'settle' then
  answer = settle()
elseif operation == 'sweep' then
  load({'generation'})
  answer = {values.generation and expire(tonumber(ARGV[2])) or 0}
elseif operation == 'seed' then
  answer = seed()
elseif operation == 'void' then
  -- void: a generation that DynamoDB does not know. The next reservation seeds a new one.
  load({'generation'})
  answer = {0}
  if values.generation == ARGV[2] then
    answer = {redis.call('HDEL', KEYS[1], 'generation')}
  end
end
save()
return answer
