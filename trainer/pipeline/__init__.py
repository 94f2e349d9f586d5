"""The pipeline of arXiv 2603.14041: base -> supervised fine-tuning -> GRPO with reflection rewards -> evaluation."""
