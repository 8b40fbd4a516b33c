"""Pages and pictures to look at."""

from bana.callable_modules import make_callable

make_callable(__name__)
