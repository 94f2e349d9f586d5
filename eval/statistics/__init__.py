"""Statistics of evaluations: small functions that return a number with its evidence."""
