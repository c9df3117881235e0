-- Gives a room its place among all rooms, if there is one.
-- KEYS: rooms. ARGV: room, now, how many there can be, since when the ones in the rest of ARGV have been gone.
-- Returns 1, or 0 if there is no place.
local rooms, room, now, limit, since = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

for i = 5, #ARGV do
  local claimed = redis.call('ZSCORE', rooms, ARGV[i])
  if claimed and tonumber(claimed) <= since then -- else it is back meanwhile
    redis.call('ZREM', rooms, ARGV[i])
  end
end
if not redis.call('ZSCORE', rooms, room) and redis.call('ZCARD', rooms) >= limit then
  return 0
end
redis.call('ZADD', rooms, now, room)
return 1
