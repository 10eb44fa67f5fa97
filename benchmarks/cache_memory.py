"""What the cache's server holds."""

from redis import Redis


def used_memory(server: Redis) -> int:
    """Bytes that the server has allocated: values, names and bookkeeping."""
    info: dict[str, int] = server.info("memory")
    return info["used_memory"]
