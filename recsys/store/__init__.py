"""Adapters: the only room that speaks SQL, Redis and files. Every port also has an in-memory twin in `memory`."""
