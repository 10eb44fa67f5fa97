"""Noise, accounting, plans and the ledger: what makes a released number private, and what it costs."""
