"""The report of a search: plain data in, one self-contained HTML file or a leaderboard out."""
