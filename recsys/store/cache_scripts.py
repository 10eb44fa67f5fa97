"""What the cache's server does in one step: Lua, so that nothing comes between looking and writing.

A value begins with a kind (0 tombstone, 1 lists, 2 out of date), 8 bytes of epoch, 8 of generation and 8 of stamp, as
`recsys.serving.sealed_lists` writes it. Stamps are compared as numbers: Lua compares strings by the server's locale.

A customer has two places, one for each version that is warm. Tombstones and notes lie in the first and rule both: who
erases or notes empties the second, and who writes to either looks at both.
"""

IDENTITY = """
local function said(section, field) return string.match(redis.call('INFO', section), field .. ':([^\\r\\n]*)') end
local function identity() return said('server', 'run_id') .. said('replication', 'master_replid') end
"""
"""The run of the server, and its line of history: a server that became a replica, took over another's data, and is the
primary again runs on under the same run id, but begins a new line."""
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
-- KEYS: epoch, each value's place and the customer's other one. ARGV: epoch, stamp, seconds to live, values.
-- Returns how many were kept.
local epoch, stamp, kept = ARGV[1], tonumber(ARGV[2]), 0
if redis.call('GET', KEYS[1]) ~= epoch then return 0 end
local here = packed(tonumber(epoch))
local function forbids(present)
  if string.byte(present, 1) == 0 then return true end
  return string.sub(present, 2, 9) == here and number(string.sub(present, 18, 25)) > stamp
end
for i = 2, #KEYS, 2 do
  local other = redis.call('GETRANGE', KEYS[i + 1], 0, 24)
  if not forbids(other) and not forbids(redis.call('GETRANGE', KEYS[i], 0, 24)) then
    redis.call('SET', KEYS[i], ARGV[i / 2 + 3], 'EX', ARGV[3])
    -- What is written now says all that the note said.
    if string.byte(other, 1) == 2 then redis.call('DEL', KEYS[i + 1]) end
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
-- KEYS: both places of each customer.
for i = 1, #KEYS, 2 do
  redis.call('SET', KEYS[i], '\\0')
  redis.call('DEL', KEYS[i + 1])
end
return identity()
"""
)
"""Tombstones, which never expire."""

FORGET = (
    IDENTITY
    + NUMBERS
    + """
-- KEYS: epoch, stamp, both places of each customer. ARGV: seconds to live.
local epoch = redis.call('GET', KEYS[1])
local stamp = redis.call('INCR', KEYS[2])
local stale = '\\2' .. packed(tonumber(epoch or '0')) .. string.rep('\\0', 8) .. packed(stamp)
for i = 3, #KEYS, 2 do
  if redis.call('GETRANGE', KEYS[i], 0, 0) ~= '\\0' then redis.call('SET', KEYS[i], stale, 'EX', ARGV[1]) end
  redis.call('DEL', KEYS[i + 1])
end
return identity()
"""
)
"""Out of date: lists that are there, and lists that are being computed."""

UNBURY = (
    NUMBERS
    + """
-- KEYS: epoch, stamp, both places of a customer. ARGV: seconds to live.
if redis.call('GETRANGE', KEYS[3], 0, 0) ~= '\\0' then return 0 end
local epoch = redis.call('GET', KEYS[1])
local stale = '\\2' .. packed(tonumber(epoch or '0')) .. string.rep('\\0', 8) .. packed(redis.call('INCR', KEYS[2]))
redis.call('SET', KEYS[3], stale, 'EX', ARGV[1])
return 1
"""
)
"""Out of date instead of a tombstone: lists may come, but none that was computed before."""

RUN = (
    IDENTITY
    + """
-- KEYS: epoch, for a cluster runs this where it lies.
return {identity(), said('replication', 'role'), said('memory', 'maxmemory_policy'), said('memory', 'maxmemory')}
"""
)
"""Which run answers, whether it is the primary, and what it may throw away."""

HEADERS = """
local found = {}
for i = 1, #KEYS do found[i] = redis.call('GETRANGE', KEYS[i], 0, 24) end
return found
"""
