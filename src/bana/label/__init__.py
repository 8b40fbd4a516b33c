"""Stage 2 (paper 3.2): pixel labels from a trained box classifier."""

from bana.callable_modules import make_callable

make_callable(__name__)
