"""AffinityNet (Ahn and Kwak, CVPR 2018): which cells of an image belong together, for labels without boxes."""

from bana.callable_modules import make_callable

make_callable(__name__)
