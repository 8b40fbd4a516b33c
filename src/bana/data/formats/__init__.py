"""Annotation formats. Each has a module to read (``detect``, ``splits``, ``read``) and one to ``write``."""

OTHER_NAMES = {"yolo-seg": "yolo"}
"""Other names of formats."""

GEO = "geo"
"""The format of label maps as GeoTIFF and masks as GeoJSON, its folder, and the extra of bana that it needs. It is
written of labels and predictions, and not read."""


def format_name(name: str) -> str:
    """The name by which a format is known here: ``yolo-seg`` is ``yolo``, whose outlines are masks."""
    return OTHER_NAMES.get(name, name)
