"""What other programs import: the client of the HTTP API."""
