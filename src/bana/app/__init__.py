"""The workbench: a page to look at labels, correct their boxes and masks, and accept or reject them."""
