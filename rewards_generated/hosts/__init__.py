"""Rewards that were written for other trainers: found in a file, cut out of it, and called as their host calls them."""

from rewards_generated.hosts.reading import RewardFile, read_file, read_reward, read_rewards

__all__ = ["RewardFile", "read_file", "read_reward", "read_rewards"]
