"""The names that the cache's server sees."""

from redis.crc import key_slot

TAG = "{privrec}"
"""How every name begins: a cluster keeps what has one tag in one slot, and so on one node, where a script can look at
all of it in one step."""
SLOT = key_slot(TAG.encode())
PREFIX = TAG + ":"
"""Of a customer's names; 32 hexadecimal digits follow. No longer than need be: the server keeps it for everybody."""
ENDS = ("", "+")
"""What the names of a customer's two places end with."""
EPOCH, STAMP = TAG + ":epoch", TAG + ":stamp"
"""The epoch that lists are let in for (decimal; there once the server is certified), and the last stamp."""
