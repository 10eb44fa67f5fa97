"""Purchases: how they are read, kept in arrays, and split for evaluation."""
