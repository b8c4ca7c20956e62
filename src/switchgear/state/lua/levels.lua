-- Buckets as they are stored, for whoever asks without a share in them. Layout: exchange.lua.
-- KEYS: a bucket each. Answer: now_ms, then s, h, r, a, k a bucket, false where there is none.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local answer = {now}
for i = 1, #KEYS do
  for _, number in ipairs(redis.call('HMGET', KEYS[i], 's', 'h', 'r', 'a', 'k')) do answer[#answer + 1] = number end
end
return answer
