"""The study of multi-layer GRPO (arXiv 2506.04746): is a second layer worth its completions?"""
