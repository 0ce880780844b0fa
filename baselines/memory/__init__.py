"""Memory networks: an utterance asks the histories of its speaker and of everybody else."""
