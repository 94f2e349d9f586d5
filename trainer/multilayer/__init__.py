"""Multi-layer GRPO (arXiv 2506.04746): a second layer of groups in which the policy corrects its own responses."""
