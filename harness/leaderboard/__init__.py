"""Boards: their specification, and the pure function from stored runs to a `Leaderboard`."""
