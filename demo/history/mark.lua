-- Keeps that a user has read up to a message, and of all marks those that are furthest ahead.
-- KEYS: messages, reads. ARGV: user, seq, how many marks to keep.
-- Returns 1, or 0 if there is no such message yet.
local messages, reads = KEYS[1], KEYS[2]

local newest = redis.call('XREVRANGE', messages, '+', '-', 'COUNT', 1)[1]
if not newest or tonumber(string.match(newest[1], '%d+')) < tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', reads, 'GT', ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', reads, 0, -tonumber(ARGV[3]) - 1)
local left = redis.call('PTTL', messages)
if left > 0 then
  redis.call('PEXPIRE', reads, left)
end
return 1
