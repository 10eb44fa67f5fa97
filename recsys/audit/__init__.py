"""Attacks that measure what a release gives away. What is audited is handed in: the auditor imports none of it."""
