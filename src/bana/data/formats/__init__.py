"""Annotation formats. Each has a module to read (``detect``, ``splits``, ``read``) and one to ``write``."""
