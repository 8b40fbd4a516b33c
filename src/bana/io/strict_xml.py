"""Reading XML that is not trusted."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeElementTree

from bana.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ENCODING = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*(["'])([A-Za-z0-9._-]+)\1[^>]*\?>""")
_PARSED = {"utf-8", "utf-16", "iso8859-1", "ascii"}
"""Encodings that the parser of XML knows, by Python's names."""


def parse_xml(path: Path) -> Element:
    """The root of an XML file; tags are in lower case and without a namespace.

    Raises:
        DataError: If it cannot be read, is not well-formed, or declares a DTD or entities.
    """
    try:
        root: Element | None = SafeElementTree.fromstring(_decoded(path.read_bytes(), path), forbid_dtd=True)
    except DefusedXmlException as error:
        raise DataError(
            f"{path}: declares a DTD or entities, which may be an attack; remove the declaration"
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: is not well-formed XML ({error}); correct or restore it") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file") from error
    if root is None:
        raise DataError(f"{path}: is empty; restore the file")
    for element in root.iter():  # some tools write a namespace, or tags in another case
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2].casefold()
    return root


def _decoded(content: bytes, path: Path) -> bytes:
    """XML in an encoding that Python knows and the parser does not, such as GBK, in UTF-8; any other as it is."""
    declared = _ENCODING.match(content)
    encoding = declared[2].decode("ascii") if declared else "utf-8"
    try:
        if not declared or codecs.lookup(encoding).name in _PARSED:
            return content
        return content[declared.end() :].decode(encoding).encode()
    except (LookupError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: declares the encoding {encoding}, which it is not; save it as UTF-8") from error
