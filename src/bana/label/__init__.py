"""Stage 2 (paper 3.2): pixel labels from a trained box classifier."""
