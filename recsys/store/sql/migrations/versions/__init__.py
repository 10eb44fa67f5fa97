"""One file a step; a published step never changes."""
