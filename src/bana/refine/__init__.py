"""Stage 2b (beyond the paper): the mask of each box, by a network that was taught by labels."""

from bana.callable_modules import make_callable

make_callable(__name__)
