"""Recommendations for a customer: from the cache, or computed from the customer's own history and the live model."""
