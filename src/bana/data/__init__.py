"""Boxes and images in, masks out."""
