"""The sum over customers, the item factors made from it, and what is done with them."""
