"""What an answer means: text or likelihoods to a label, or the reason why there is none. Knows no back end."""
