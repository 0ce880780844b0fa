"""What trained systems over utterance features share: batches of dialogues, layers, the training loop, checkpoints.

The only package here that several families import; it imports none of them.
"""
