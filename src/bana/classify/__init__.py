"""Stage 1 (paper 3.1): a box classifier trained with background-aware pooling."""

from bana.callable_modules import make_callable

make_callable(__name__)
