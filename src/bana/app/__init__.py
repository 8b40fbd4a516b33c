"""The workbench: a page to look at labels, correct their boxes and masks, and accept or reject them."""

from bana.callable_modules import make_callable

make_callable(__name__)
