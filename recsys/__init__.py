"""A recommender for shops whose model is a function of a sum over customers."""
