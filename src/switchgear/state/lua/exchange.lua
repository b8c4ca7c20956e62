-- One worker tells what it spent and holds in some buckets, and is granted leases. Contract: state/store.py.
--
-- Stored layout, version 1. All keys carry one hash tag, so that a cluster keeps them together.
--   {switchgear}1:epoch    "TOKEN:RUN:MS" of the moment at which the store was found empty, restarted, replaced by a
--                          replica (RUN is the server's run id) or gone back in time
--   {switchgear}1:calls    how many calls there were: a worker that has seen more knows that the store went back
--   {switchgear}1:workers  sorted set: worker -> Unix ms until which it lives
--   {switchgear}1:b:KEY    hash of a bucket:
--       s  spent          h  sum of what workers hold    r  sum of what of it is reserved
--       a  Unix ms from which the steps of a sliding bucket count, k  steps credited since
--       t  thresholds passed     w  wanted until (Unix ms)
--       e  the epoch (its Unix ms) it was last written in
--       u  1: what was spent before that epoch is not known for sure;  c  spent by all workers that were heard of
--       @WORKER  "SEQ:SPENT:HELD:RESERVED" as that worker last told
-- The number behind the tag changes with the layout, so that versions never read each other's.
--
-- KEYS: epoch, workers, calls, a bucket each. ARGV: worker, ttl_ms, settle_ms, token, seen, then 15 values a bucket.
-- Answer: now_ms, epoch, calls, then 10 integers a bucket.

local STEPS, FIXED, SLIDING, SLOTS = 60, 0, 1, 2
local OK, UNSEEDED, STALE, OVER, EARLY, SETTLING = 0, 1, 2, 3, 4, 5
local WANTED_MS, DAY_MS = 300, 86400000
local MANY_WORKERS = 64

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local worker, ttl, settle = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local own = '@' .. worker

local function whole(number) return string.format('%.0f', number) end

local epoch = redis.call('GET', KEYS[1])
local calls = redis.call('INCR', KEYS[3])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if not epoch or string.match(epoch, ':(%w+):%d+$') ~= run or calls <= tonumber(ARGV[5]) then
  epoch = ARGV[4] .. ':' .. run .. ':' .. whole(now)
  redis.call('SET', KEYS[1], epoch)
  calls = math.max(calls, tonumber(ARGV[5]) + 1)
  redis.call('SET', KEYS[3], whole(calls))
end
local epoch_ms = tonumber(string.match(epoch, ':(%d+)$'))

if ttl > 0 then
  redis.call('ZADD', KEYS[2], whole(now + ttl), worker)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - DAY_MS))
else
  redis.call('ZREM', KEYS[2], worker)
end
local live = redis.call('ZCOUNT', KEYS[2], whole(now), '+inf')

-- floor(capacity * steps / STEPS), in parts that stay exact in doubles
local function credited(capacity, steps)
  local windows, rest = math.floor(steps / STEPS), steps % STEPS
  local share = math.floor(capacity / STEPS)
  return windows * capacity + share * rest + math.floor((capacity - share * STEPS) * rest / STEPS)
end

local function record(text)
  if not text then return nil end
  local seq, spent, held, reserved = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
  return tonumber(seq), tonumber(spent), tonumber(held), tonumber(reserved)
end

local function packed(seq, spent, held, reserved)
  return whole(seq) .. ':' .. whole(spent) .. ':' .. whole(held) .. ':' .. whole(reserved)
end

-- Whether leases or spending of before the store was new may be missing in the bucket.
local function has_past(kind, window, start)
  if kind == SLIDING then return now - epoch_ms < window end
  return kind == FIXED and start < epoch_ms
end

-- What workers held that are not heard of any more: of a sliding bucket it counts as spent and comes back with time,
-- slots come back at once. (Of a fixed bucket it stays held until somebody adopts it.)
local function reclaim(key, bucket, kind)
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local field = fields[i]
    if string.sub(field, 1, 1) == '@' and field ~= own then
      local seq, spent, held, reserved = record(fields[i + 1])
      local until_ms = redis.call('ZSCORE', KEYS[2], string.sub(field, 2))
      if held + reserved > 0 and (not until_ms or tonumber(until_ms) < now) then
        bucket.h, bucket.r = bucket.h - held, bucket.r - reserved
        if kind == SLIDING then bucket.s = bucket.s + held end
        redis.call('HSET', key, field, packed(seq, spent, 0, 0))
      end
    end
  end
end

-- Records of workers that hold nothing and have not been heard of for a day.
local function forget_workers(key)
  if redis.call('HLEN', key) < MANY_WORKERS then return end
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 1) == '@' and string.match(fields[i + 1], ':0:0$')
        and not redis.call('ZSCORE', KEYS[2], string.sub(fields[i], 2)) then
      redis.call('HDEL', key, fields[i])
    end
  end
end

local function exchange(key, at)
  local kind, capacity, window = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local start, finish = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local seq, base = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local acked, spent = tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8])
  local have, reserved = tonumber(ARGV[at + 9]), tonumber(ARGV[at + 10])
  local least, want, seed = tonumber(ARGV[at + 11]), tonumber(ARGV[at + 12]), tonumber(ARGV[at + 13])
  local thresholds = ARGV[at + 14]

  local stored = redis.call('HMGET', key, 's', 'h', 'r', 'a', 'k', 't', 'w', 'u', 'c', 'e', own)
  local fresh = not stored[1]
  local bucket = {}
  for i, name in ipairs({'s', 'h', 'r', 'a', 'k', 't', 'w', 'u', 'c', 'e'}) do bucket[name] = tonumber(stored[i] or 0) end

  if start > now then return {EARLY, 0, 0, 0, 0, 0, 0, 0, 0, 0} end
  local over = finish > 0 and now >= finish
  if over and fresh then return {OVER, 0, 0, 0, 0, 0, 0, 0, 0, 0} end
  if fresh and ttl == 0 then return {OK, 0, 0, 0, 0, 0, 0, 0, 0, 0} end  -- who is gone begins nothing
  if fresh then bucket.a = now end
  if bucket.e ~= epoch_ms then  -- new, or from before a loss
    bucket.e = epoch_ms
    if has_past(kind, window, start) then bucket.u = 1 end
  end

  local last_seq, last_spent, last_held, last_reserved = record(stored[11])
  if not last_seq then
    last_spent, last_held, last_reserved = acked, 0, 0
    bucket.c = bucket.c + acked - base
    forget_workers(key)
  elseif seq <= last_seq then
    return {STALE, 0, 0, 0, 0, 0, 0, 0, 0, 0}
  end

  if kind == SLIDING and window > 0 then  -- 0: from who adopts a lease and knows no more of the limit
    local steps = math.floor((now - bucket.a) * STEPS / window)
    if steps > bucket.k then
      bucket.s = math.max(0, bucket.s - (credited(capacity, steps) - credited(capacity, bucket.k)))
      bucket.k = steps
    end
  end

  local more = math.max(0, spent - math.max(last_spent, base))
  bucket.s = bucket.s + more
  bucket.c = bucket.c + more
  bucket.h = bucket.h + have - last_held
  bucket.r = bucket.r + reserved - last_reserved
  if kind == SLIDING and bucket.s == 0 and bucket.h == 0 then bucket.a, bucket.k = now, 0 end

  local status = OK
  if over then
    status = OVER
  elseif now < epoch_ms + settle and (kind == SLOTS or has_past(kind, window, start)) then
    status = SETTLING
  elseif bucket.u == 1 then
    if seed >= 0 then
      bucket.s, bucket.u = math.max(seed, bucket.s), 0
      if kind == FIXED then bucket.s = math.max(bucket.s, bucket.c) end
    else
      status = UNSEEDED
    end
  end

  local granted = 0
  if status == OK and want > 0 then
    if kind ~= FIXED and capacity - bucket.s - bucket.h < least then reclaim(key, bucket, kind) end
    local free = capacity - bucket.s - bucket.h
    if free >= least and free > 0 then
      local share = free
      if live > 1 then share = math.max(least, math.floor(free / live)) end
      granted = math.min(want, share)
      bucket.h = bucket.h + granted
      have = have + granted
    else
      bucket.w = now + WANTED_MS
    end
  end

  local fired = bucket.t
  if thresholds ~= '' and status ~= UNSEEDED and status ~= SETTLING then
    local number = 0
    for threshold in string.gmatch(thresholds, '%d+') do
      number = number + 1
      if number > bucket.t and bucket.s >= tonumber(threshold) then bucket.t = number end
    end
  end

  redis.call('HSET', key, 's', whole(bucket.s), 'h', whole(bucket.h), 'r', whole(bucket.r), 'a', whole(bucket.a),
    'k', whole(bucket.k), 't', whole(bucket.t), 'w', whole(bucket.w), 'u', whole(bucket.u), 'c', whole(bucket.c), 'e', whole(bucket.e),
    own, packed(seq, spent, have, reserved))
  if finish > 0 then
    redis.call('PEXPIREAT', key, whole(finish + DAY_MS))
  elseif kind ~= FIXED then
    redis.call('PEXPIRE', key, whole(math.max(2 * window, DAY_MS)))
  end

  local next_ms = 0
  if kind == SLIDING and bucket.s > 0 then
    next_ms = math.ceil((bucket.k + 1) * window / STEPS - (now - bucket.a))
  end
  local idle = (bucket.h - bucket.r) - (have - reserved)
  return {status, granted, bucket.s, bucket.h, bucket.r, math.max(0, idle), math.max(0, next_ms),
    bucket.w > now and 1 or 0, fired, bucket.t}
end

local answer = {now, epoch, calls}
for i = 4, #KEYS do
  for _, number in ipairs(exchange(KEYS[i], 6 + (i - 4) * 15)) do answer[#answer + 1] = number end
end
return answer
