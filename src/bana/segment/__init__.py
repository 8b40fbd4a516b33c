"""Stage 3 (paper 3.3): a segmentation network trained on pseudo labels that contain noise."""

from bana.callable_modules import make_callable

make_callable(__name__)
