"""What the cache's server does in one step: Lua, so that nothing comes between looking and writing.

A value begins with a kind (0 tombstone, 1 lists, 2 out of date), 8 bytes of epoch, 8 of generation and 8 of stamp, as
`recsys.serving.sealed_lists` writes it. Stamps are compared as numbers: Lua compares strings by the server's locale.
"""

IDENTITY = """
local function identity() return string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end
"""
NUMBERS = """
local function number(bytes)
  local total = 0
  for i = 1, #bytes do total = total * 256 + string.byte(bytes, i) end
  return total
end
local function packed(value)
  local bytes = {}
  for i = 8, 1, -1 do bytes[i] = string.char(value % 256); value = math.floor(value / 256) end
  return table.concat(bytes)
end
"""

PUT = (
    NUMBERS
    + """
-- KEYS: epoch, names. ARGV: epoch, stamp, seconds to live, values. Returns how many were kept.
local epoch, stamp, kept = ARGV[1], tonumber(ARGV[2]), 0
if redis.call('GET', KEYS[1]) ~= epoch then return 0 end
local here = packed(tonumber(epoch))
for i = 2, #KEYS do
  local present = redis.call('GETRANGE', KEYS[i], 0, 24)
  local kind = string.byte(present, 1)
  local later = string.sub(present, 2, 9) == here and number(string.sub(present, 18, 25)) > stamp
  if kind ~= 0 and not later then
    redis.call('SET', KEYS[i], ARGV[i + 2], 'EX', ARGV[3])
    kept = kept + 1
  end
end
return kept
"""
)
"""Values that are still good."""

BURY = (
    IDENTITY
    + """
for i = 1, #KEYS do redis.call('SET', KEYS[i], '\\0') end
return identity()
"""
)
"""Tombstones, which never expire."""

FORGET = (
    IDENTITY
    + NUMBERS
    + """
-- KEYS: epoch, stamp, names. ARGV: seconds to live.
local epoch = redis.call('GET', KEYS[1])
local stamp = redis.call('INCR', KEYS[2])
local stale = '\\2' .. packed(tonumber(epoch or '0')) .. string.rep('\\0', 8) .. packed(stamp)
for i = 3, #KEYS do
  if redis.call('GETRANGE', KEYS[i], 0, 0) ~= '\\0' then redis.call('SET', KEYS[i], stale, 'EX', ARGV[1]) end
end
return identity()
"""
)
"""Out of date: lists that are there, and lists that are being computed."""

HEADERS = """
local found = {}
for i = 1, #KEYS do found[i] = redis.call('GETRANGE', KEYS[i], 0, 24) end
return found
"""
