-- An organization's limits and budgets: reserve from all of them at once or from none, settle once.
--
-- KEYS[1]  hash: `generation` of this memory; `l:…` level, at (ms), held of a rate limit; `c:…` leases out;
--          `b:…` month, spent, held of a budget in micro-dollars, month = year * 12 + month - 1 in UTC
-- KEYS[2]  sorted set: leases by their end (ms)       KEYS[3]  hash: what each lease holds
-- KEYS[4]  stream: usage on its way to DynamoDB       KEYS[5]  of settle alone: marks a request charged in
--          this generation without its lease
-- ARGV[1]  reserve, settle, sweep, seed or void; what follows, and the answer, is told at each
--
-- A rate limit is GCRA in its leaky-bucket form (ITU-T I.371, annex A): a level that rises with use and leaks
-- by `limit` a tick. Integers only, the level counted in cost x period, so nothing is rounded in the caller's
-- favour; exact below 2^53. Requests are poured in at once. Tokens and money are held until they are settled,
-- and held counts like used, so what is settled can never exceed what was free. The clock is the server's.
-- A field's three numbers are three doubles, little end first: spelling them took half of the script's time.
-- Nothing here has an expiry but KEYS[5]: volatile-ttl may evict whatever has one.

local EXPIRED_AT_ONCE = 16
local NEVER, HARD = 9007199254740991, 9007199254740990
local UNKNOWN_WAIT_MS = 1000
local THREE = '<ddd'

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local pack_three, unpack_three = struct.pack, struct.unpack

local time = redis.call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000)
local values, changed, this_month = {}, {}, nil

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
  local pairs_of, n = {}, 0
  for field, value in pairs(changed) do
    pairs_of[n + 1], pairs_of[n + 2] = field, value
    n = n + 2
  end
  if n > 0 then
    redis.call('HSET', KEYS[1], unpack(pairs_of))
  end
end

local function store_three(field, first, second, third)
  store(field, pack_three(THREE, first, second, third))
end

local function three(field)
  local value = values[field]
  if value then
    return unpack_three(THREE, value)
  end
  return 0, 0, 0
end

-- Days to a civil date, proleptic Gregorian, years that begin in March.
local function month_of(ms)
  local days = floor(ms / 86400000) + 719468
  local era = floor(days / 146097)
  local day = days - era * 146097
  local year = floor(
    (day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
  local of_year = day - (365 * year + floor(year / 4) - floor(year / 100))
  local from_march = floor((5 * of_year + 2) / 153)
  return (year + era * 400) * 12 + from_march + 2
end

-- The level after what has leaked since, and what is held.
local function bucket(field, limit, tick)
  local level, at, held = three(field)
  -- A clock that went back (another node took over) leaks nothing, and does not wait to catch up.
  local ticks = max(0, floor(now / tick) - floor(at / tick))
  return max(0, level - ticks * limit), held
end

-- Spent in this month, and what is held. A clock that went back does not bring an old month back.
local function budget(field)
  local month, spent, held = three(field)
  this_month = this_month or month_of(now)
  if this_month > month then
    return this_month, 0, held
  end
  return month, spent, held
end

-- The fields that a lease holds something of, after `generation`.
local function fields_of(lease)
  local fields = {'generation'}
  for i = 1, #lease.limits, 5 do fields[#fields + 1] = lease.limits[i] end
  for _, field in ipairs(lease.counts) do fields[#fields + 1] = field end
  for _, field in ipairs(lease.budgets) do fields[#fields + 1] = field end
  return fields
end

-- Gives a lease back whose fields are loaded. tokens, money: what was used; nil: all that is held.
local function release(id, lease, tokens, money)
  for i = 1, #lease.limits, 5 do
    local field, limit, period, tick, cost = unpack(lease.limits, i, i + 4)
    local level, held = bucket(field, limit, tick)
    store_three(field, level + (tokens or cost) * period, now, held - cost)
  end
  for _, field in ipairs(lease.counts) do
    store(field, tonumber(values[field] or 0) - 1)
  end
  for _, field in ipairs(lease.budgets) do
    local month, spent, held = budget(field)
    store_three(field, month, spent + (money or lease.money), held - lease.money)
  end
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end

-- Leases that are over are charged in full: nobody knows any more what their requests used.
local function expire(most)
  local due = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, most)
  for _, id in ipairs(due) do
    local packed = redis.call('HGET', KEYS[3], id)
    if packed then
      local lease = cmsgpack.unpack(packed)
      load(fields_of(lease))
      release(id, lease)
      redis.call('XADD', KEYS[4], '*', 'id', id, 'generation', values.generation, 'at', now,
        'expired', lease.meta)
    else
      redis.call('ZREM', KEYS[2], id)
    end
  end
  return #due
end

-- reserve: request id, lease in ms, money, tokens, 1 if the request bounds its tokens itself, meta (opaque,
-- told when it expires), number of limits, counts, budgets; then of each limit: field, limit, capacity,
-- period, tick in ms, 1 if it is of tokens, which are held until settled, 0 if it is of requests; of each
-- count: field, most; of each budget: field, limit or -1.
-- Answers -1: no generation, seed first. 1, generation: reserved. 0, kind, number: refused by that limit,
-- count or budget. Then in both cases: wait in ms (-1 never, -2 until others settle), now, and of each limit:
-- remaining, ms until it is full again.
local function reserve()
  local id, lease_ms, money, tokens = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local bounded, limits, counts, budgets = ARGV[6] == '1', ARGV[8] * 1, ARGV[9] * 1, ARGV[10] * 1
  local first_count = 11 + limits * 6
  local first_budget = first_count + counts * 2
  local fields = {'generation'}
  for i = 11, first_count - 1, 6 do fields[#fields + 1] = ARGV[i] end
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
  local levels, held_of, cost_of = {}, {}, {}
  for n = 1, limits do
    local i = 5 + n * 6
    local limit, capacity, period = ARGV[i + 1] * 1, ARGV[i + 2] * 1, ARGV[i + 3] * 1
    local tick, cost = ARGV[i + 4] * 1, 1
    if ARGV[i + 5] == '1' then
      -- One that does not bound itself is not refused for what it could use in the worst case.
      cost = bounded and tokens or min(tokens, capacity / period)
    end
    local level, held = bucket(ARGV[i], limit, tick)
    levels[n], held_of[n], cost_of[n] = level, held, cost
    local excess = level + (held + cost) * period - capacity
    if excess > 0 then
      if cost * period > capacity then
        refuse(NEVER, 'limit', n)
      elseif (held + cost) * period > capacity then
        refuse(UNKNOWN_WAIT_MS, 'held', n)
      else
        refuse((floor(now / tick) + ceil(excess / limit)) * tick - now, 'limit', n)
      end
    end
  end
  for n = 1, counts do
    local i = first_count + (n - 1) * 2
    if tonumber(values[ARGV[i]] or 0) >= tonumber(ARGV[i + 1]) then
      refuse(UNKNOWN_WAIT_MS, 'count', n)
    end
  end
  local months, spent_of, owed = {}, {}, {}
  for n = 1, budgets do
    local i = first_budget + (n - 1) * 2
    local most = tonumber(ARGV[i + 1])
    months[n], spent_of[n], owed[n] = budget(ARGV[i])
    if most >= 0 then
      if spent_of[n] + money > most then
        refuse(HARD, 'budget', n)
      elseif spent_of[n] + owed[n] + money > most then
        refuse(UNKNOWN_WAIT_MS, 'reserved', n)
      end
    end
  end

  local answer
  if worst > 0 then
    local wait = worst
    if worst >= HARD then
      wait = -1
    elseif kind ~= 'limit' then
      wait = -2
    end
    answer = {0, kind, number, wait, now}
  else
    answer = {1, values.generation, 0, 0, now}
    local lease = {limits = {}, counts = {}, budgets = {}, money = money, meta = ARGV[7]}
    local of_limits, m = lease.limits, 0
    for n = 1, limits do
      local i = 5 + n * 6
      local period, cost = ARGV[i + 3] * 1, cost_of[n]
      if ARGV[i + 5] == '1' then
        held_of[n] = held_of[n] + cost
        of_limits[m + 1], of_limits[m + 2], of_limits[m + 3] = ARGV[i], ARGV[i + 1] * 1, period
        of_limits[m + 4], of_limits[m + 5] = ARGV[i + 4] * 1, cost
        m = m + 5
      else
        levels[n] = levels[n] + cost * period
      end
      store_three(ARGV[i], levels[n], now, held_of[n])
    end
    for n = 1, counts do
      local field = ARGV[first_count + (n - 1) * 2]
      store(field, tonumber(values[field] or 0) + 1)
      lease.counts[n] = field
    end
    for n = 1, budgets do
      local field = ARGV[first_budget + (n - 1) * 2]
      store_three(field, months[n], spent_of[n], owed[n] + money)
      lease.budgets[n] = field
    end
    redis.call('ZADD', KEYS[2], now + lease_ms, id)
    redis.call('HSET', KEYS[3], id, cmsgpack.pack(lease))
  end
  for n = 1, limits do
    local i = 5 + n * 6
    local period = ARGV[i + 3] * 1
    local used = levels[n] + held_of[n] * period
    answer[4 + n * 2] = max(0, floor((ARGV[i + 2] - used) / period))
    answer[5 + n * 2] = ceil(used / ARGV[i + 1]) * ARGV[i + 4]
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
  local packed = redis.call('HGET', KEYS[3], id)
  local lease = packed and cmsgpack.unpack(packed)
  load(lease and fields_of(lease) or {'generation'})
  if not values.generation then
    return {-1}
  elseif values.generation ~= generation then
    return {-2, values.generation}
  end
  local status = 1
  if lease then
    release(id, lease, tokens, money)
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
        store_three(ARGV[i], month, spent, held)
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
    store_three(ARGV[i], ARGV[3], ARGV[i + 1], 0)
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
