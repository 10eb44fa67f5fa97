"""What continuous integration asks about the dependencies; no part of the wheel."""
