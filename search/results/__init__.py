"""What a run found, read from its ledger: entries of the leaderboard, what must be said beside them, the report."""
