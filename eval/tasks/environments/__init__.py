"""Single-turn environments of the package `verifiers` as tasks, with their own questions, parser and verdicts."""
