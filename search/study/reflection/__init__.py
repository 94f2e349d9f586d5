"""Does a reflection reward help, and fine-tuning before GRPO? The ablation that arXiv 2603.14041 leaves out."""
