"""Does feedback raise later rounds? Searches told the ranking, nothing, or a shuffled ranking."""
