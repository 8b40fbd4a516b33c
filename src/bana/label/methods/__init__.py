"""The labeling methods, one file each, behind one interface."""
