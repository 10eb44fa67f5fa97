"""Evidence that a stranger can check: canonical bytes, a hash chain, signatures, receipts."""
