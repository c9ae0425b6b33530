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
local pack, unpack_three = struct.pack, struct.unpack

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
  changed = {}
end

-- The three numbers of a field.
local function three(value)
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
local function bucket(value, limit, tick)
  local level, at, held = three(value)
  -- A clock that went back (another node took over) leaks nothing, and does not wait to catch up.
  local ticks = max(0, floor(now / tick) - floor(at / tick))
  return max(0, level - ticks * limit), held
end

-- Spent in this month, and what is held. A clock that went back does not bring an old month back.
local function budget(value)
  local month, spent, held = three(value)
  this_month = this_month or month_of(now)
  if this_month > month then
    return this_month, 0, held
  end
  return month, spent, held
end

-- A lease: money, meta, number of counts, number of budgets; of each limit: field, limit, period, tick, cost;
-- then the fields of counts and budgets. Where the counts begin, and the budgets.
local function parts_of(lease)
  local first_budget = #lease - lease[4] + 1
  return first_budget - lease[3], first_budget
end

-- The fields that a lease holds something of, after `generation`.
local function fields_of(lease)
  local fields = {'generation'}
  local first_count = parts_of(lease)
  for i = 5, first_count - 1, 5 do fields[#fields + 1] = lease[i] end
  for i = first_count, #lease do fields[#fields + 1] = lease[i] end
  return fields
end

-- Gives a lease back whose fields are loaded. tokens, money: what was used; nil: all that is held.
local function release(id, lease, tokens, money)
  local first_count, first_budget = parts_of(lease)
  for i = 5, first_count - 1, 5 do
    local field, limit, period, tick, cost = unpack(lease, i, i + 4)
    local level, held = bucket(values[field], limit, tick)
    store(field, pack(THREE, level + (tokens or cost) * period, now, held - cost))
  end
  for i = first_count, first_budget - 1 do
    store(lease[i], (values[lease[i]] or 0) - 1)
  end
  for i = first_budget, #lease do
    local month, spent, held = budget(values[lease[i]])
    store(lease[i], pack(THREE, month, spent + (money or lease[1]), held - lease[1]))
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
        'expired', lease[2])
    else
      redis.call('ZREM', KEYS[2], id)
    end
  end
  return #due
end

-- reserve: request id, lease in ms, money, tokens, 1 if the request bounds its tokens itself, meta (opaque,
-- told when it expires), number of limits, counts, budgets; then of each limit: limit, capacity, period, tick
-- in ms, 1 if it is of tokens, which are held until settled, 0 if it is of requests; of each count: most; of
-- each budget: limit or -1; then `generation` and the field of each limit, count and budget.
-- Answers -1: no generation, seed first. 1, generation: reserved. 0, kind, number: refused by that limit,
-- count or budget. Then in both cases: wait in ms (-1 never, -2 until others settle), now, and of each limit:
-- remaining, ms until it is full again.
local function reserve()
  local id, lease_ms, money, tokens = ARGV[2], ARGV[3] * 1, ARGV[4] * 1, ARGV[5] * 1
  local bounded, limits, counts, budgets = ARGV[6] == '1', ARGV[8] * 1, ARGV[9] * 1, ARGV[10] * 1
  local first_count = 11 + limits * 5
  local first_budget = first_count + counts
  local first_field = first_budget + budgets
  local found = redis.call('HMGET', KEYS[1], unpack(ARGV, first_field))
  if not found[1] then
    return {-1}
  end
  values.generation = found[1]
  if expire(EXPIRED_AT_ONCE) > 0 then
    save()
    found = redis.call('HMGET', KEYS[1], unpack(ARGV, first_field))
  end

  local worst, kind, number = 0, '', 0
  local function refuse(severity, of, n)
    if severity > worst then
      worst, kind, number = severity, of, n
    end
  end
  local firsts, helds, costs = {}, {}, {}
  for n = 1, limits do
    local i = 6 + n * 5
    local limit, capacity, period, tick = ARGV[i] * 1, ARGV[i + 1] * 1, ARGV[i + 2] * 1, ARGV[i + 3] * 1
    local cost = 1
    if ARGV[i + 4] == '1' then
      -- One that does not bound itself is not refused for what it could use in the worst case.
      cost = bounded and tokens or min(tokens, capacity / period)
    end
    local level, held = bucket(found[n + 1], limit, tick)
    firsts[n], helds[n], costs[n] = level, held, cost
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
    if (found[1 + limits + n] or 0) * 1 >= ARGV[first_count + n - 1] * 1 then
      refuse(UNKNOWN_WAIT_MS, 'count', n)
    end
  end
  local months, spent_of, owed = {}, {}, {}
  for n = 1, budgets do
    local most = ARGV[first_budget + n - 1] * 1
    local month, spent, held = budget(found[1 + limits + counts + n])
    months[n], spent_of[n], owed[n] = month, spent, held
    if most >= 0 then
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
  end
  local field = first_field
  local stored, s = {}, 0
  local lease, l = {money, ARGV[7], counts, budgets}, 4
  for n = 1, limits do
    local i = 6 + n * 5
    local limit, capacity, period, tick = ARGV[i] * 1, ARGV[i + 1] * 1, ARGV[i + 2] * 1, ARGV[i + 3] * 1
    local level, held, cost = firsts[n], helds[n], costs[n]
    field = field + 1
    if worst == 0 then
      if ARGV[i + 4] == '1' then
        held = held + cost
        lease[l + 1], lease[l + 2], lease[l + 3], lease[l + 4], lease[l + 5] =
          ARGV[field], limit, period, tick, cost
        l = l + 5
      else
        level = level + cost * period
      end
      stored[s + 1], stored[s + 2] = ARGV[field], pack(THREE, level, now, held)
      s = s + 2
    end
    local used = level + held * period
    answer[4 + n * 2] = max(0, floor((capacity - used) / period))
    answer[5 + n * 2] = ceil(used / limit) * tick
  end
  if worst > 0 then
    return answer
  end
  for n = 1, counts do
    field, l = field + 1, l + 1
    lease[l] = ARGV[field]
    stored[s + 1], stored[s + 2] = ARGV[field], (found[1 + limits + n] or 0) + 1
    s = s + 2
  end
  for n = 1, budgets do
    field, l = field + 1, l + 1
    lease[l] = ARGV[field]
    stored[s + 1], stored[s + 2] = ARGV[field], pack(THREE, months[n], spent_of[n], owed[n] + money)
    s = s + 2
  end
  redis.call('ZADD', KEYS[2], now + lease_ms, id)
  redis.call('HSET', KEYS[3], id, cmsgpack.pack(lease))
  if s > 0 then
    redis.call('HSET', KEYS[1], unpack(stored))
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
  local id, generation, tokens, money = ARGV[2], ARGV[3], ARGV[4] * 1, ARGV[5] * 1
  local record, if_gone, at = ARGV[6], ARGV[7], ARGV[8] * 1
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
        local month, spent, held = budget(values[ARGV[i]])
        if at == 0 or month_of(at) == this then
          spent = spent + money
        end
        store(ARGV[i], pack(THREE, month, spent, held))
      end
    end
  end
  if record ~= '' then
    redis.call('XADD', KEYS[4], '*', 'id', id, 'generation', generation,
      'at', at > 0 and string.format('%.0f', at) or now, 'record', record)
  end
  return {status}
end

-- seed: the new generation, the month, of each budget: field, spent; then `leases` and of each that is out all
-- the same: id, ms until its end, money, meta, the fields of two budgets. Forgets all but the outbox.
-- Answers 1, generation or 0, the generation that is there already.
local function seed()
  load({'generation'})
  if values.generation then
    return {0, values.generation}
  end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  store('generation', ARGV[2])
  local i = 4
  while ARGV[i] ~= 'leases' do
    store(ARGV[i], pack(THREE, ARGV[3], ARGV[i + 1], 0))
    i = i + 2
  end
  for first = i + 1, #ARGV, 6 do
    local id, lasts_ms, money, meta, one, other = unpack(ARGV, first, first + 5)
    for _, field in ipairs({one, other}) do
      local month, spent, held = three(values[field] or pack(THREE, ARGV[3], 0, 0))
      store(field, pack(THREE, month, spent, held + money))
    end
    redis.call('ZADD', KEYS[2], now + lasts_ms, id)
    redis.call('HSET', KEYS[3], id, cmsgpack.pack({money * 1, meta, 0, 2, one, other}))
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
  answer = {values.generation and expire(ARGV[2] * 1) or 0}
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
