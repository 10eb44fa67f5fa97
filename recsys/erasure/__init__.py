"""Erasure: stop serving at once, remove from every store and sum, prove it with a signed receipt."""
