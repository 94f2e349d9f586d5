"""What can GRPO reach, and what not? The gain curve of a reweighted policy, and problems outside pretraining."""
