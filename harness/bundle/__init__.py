"""A board as a bundle for a paper and its reviewers, in which every number can be checked."""
