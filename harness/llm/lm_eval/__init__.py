"""lm-eval in both directions: its models as ours, our splits as its tasks, our models as its own."""
