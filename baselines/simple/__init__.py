"""Systems without a neural network: floors and bag-of-words models."""
