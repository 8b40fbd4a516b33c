"""PNG files taken apart and put together, so that a part can be wrong under right checksums."""

import struct
import zlib

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Name and data of the chunks of a PNG, whose checksums are not looked at."""
    chunks, at = [], len(PNG_HEAD)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these chunks, with the right checksums."""
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return PNG_HEAD + b"".join(packed)


def png_header_alone(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels, of which there is none."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png_of([(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")])
