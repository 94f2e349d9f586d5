"""Studies: a claim tested by whole runs over arms and seeds, with one runner, one ledger and one form of report."""
