"""Running predictors and scoring what is stored. Knows nothing of tables."""
