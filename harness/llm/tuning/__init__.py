"""Fine-tuning a causal language model on prompts and their answers. Knows tokens and recipes, no dataset."""
