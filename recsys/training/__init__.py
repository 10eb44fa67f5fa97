"""Training jobs: from the stores to a registered model version, with every release booked before its noise is drawn."""
