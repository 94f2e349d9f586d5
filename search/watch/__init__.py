"""A local page over a search that runs or is over: read-only, on this machine alone."""
