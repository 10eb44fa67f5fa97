"""How good a ranking is: metrics, intervals, and protocols that say what counts as right."""
