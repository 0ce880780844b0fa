"""Large language models as predictors."""
