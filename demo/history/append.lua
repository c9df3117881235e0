-- Appends a message to a room unless it is there already.
-- KEYS: messages, ids, reads. ARGV: key, message, how many to keep, how long (ms), whether the room may be made, how
-- many old messages to delete at most.
-- Returns {seq}, {seq, message} if it was saved before, {0} if the room is missing.
local messages, ids, reads = KEYS[1], KEYS[2], KEYS[3]
local key, message, keep, retention, make = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local known = redis.call('HGET', ids, key)
local saved = known and redis.call('XRANGE', messages, known, known)[1]
if saved then
  return {tonumber(known), saved[2][4]}
end

local newest = redis.call('XREVRANGE', messages, '+', '-', 'COUNT', 1)[1]
if not newest and make == '0' then
  return {0}
end
local seq = newest and tonumber(string.match(newest[1], '%d+')) + 1 or 1

-- First what is refused when memory runs out: a script is not undone.
redis.call('XADD', messages, string.format('%.0f-0', seq), 'key', key, 'message', message)
if not newest then
  redis.call('DEL', ids, reads)
end
redis.call('HSET', ids, key, string.format('%.0f', seq))

if seq > keep then
  for _, old in ipairs(redis.call('XRANGE', messages, '-', seq - keep, 'COUNT', ARGV[6])) do
    redis.call('HDEL', ids, old[2][2])
    redis.call('XDEL', messages, old[1])
  end
end
for _, k in ipairs(KEYS) do
  redis.call('PEXPIRE', k, retention)
end
return {seq}
