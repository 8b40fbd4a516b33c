"""The ways to label from boxes, one file each, behind one interface."""
