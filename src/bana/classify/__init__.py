"""Stage 1 (paper 3.1): a box classifier trained with background-aware pooling."""
