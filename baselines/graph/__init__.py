"""Systems that join the utterances of a dialogue in a graph: edges by distance and by who speaks."""
