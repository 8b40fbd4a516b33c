"""Valid files with something wrong in them: what a fuzzer that only flips bytes would hardly ever reach."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any
from xml.etree import ElementTree

import yaml

from png_files import PNG_HEAD, png_chunks, png_of

Mutate = Callable[[bytes, Random], bytes]
"""Content of a file and a source of chance to other content."""

NUMBERS = [0, 1, -1, 2, 7, 254, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63, 2_000_000_000, 10**30, 10**400]
NUMBERS += [0.5, -0.5, 1e-300, 1e30, 1e300, 1e308, float("nan"), float("inf"), float("-inf"), -(2**31), 89_000_000]
TEXTS = ["", " ", ".", "..", "../a.jpg", "/etc/hosts", "C:\\a.jpg", "\\\\host\\share\\a.jpg", "a" * 5000, "a/" * 300]
TEXTS += [
    "\0",
    "a\nb",
    "\u2028",
    "\ufeff",
    "\ud800",
    "\U0001f600",
    "e\u0301",
    "\u202e",
    "%s",
    "{0}",
    "1e5",
    "nan",
    "0x10",
]
TEXTS += ["cat", "disk", "default", "random", "lite0", "PPPPPPP`", "0", "~", "true", "null", "[", "<", "&amp;", "a.jpg"]
VALUES = [
    None,
    True,
    False,
    [],
    {},
    [[]],
    [{}],
    {"": None},
    {"id": 1},
    [1, 2, 3, 4],
    [[0, 0, 1, 0, 1, 1]],
    *NUMBERS,
    *TEXTS,
]


def odd_value(random: Random) -> Any:
    """A value that a file may hold at a wrong place; now and then one that is nested deeply."""
    if random.random() < 0.03:
        value: Any = copy.deepcopy(random.choice(VALUES))
        for _ in range(random.choice([20, 400, 1100])):
            value = [value] if random.random() < 0.99 else {"a": value}
        return value
    if random.random() < 0.2:
        return random.choice([random.randint(-10, 300), random.uniform(-10, 300), [odd_value(random)]])
    return copy.deepcopy(random.choice(VALUES))  # or a change of it would stay in the table


def changed_tree(tree: Any, random: Random) -> Any:
    """Plain values with one to three of their parts dropped, replaced, repeated, moved or wrapped."""
    for _ in range(random.randint(1, 3)):
        tree = _changed_once(tree, random)
    return tree


def _changed_once(tree: Any, random: Random) -> Any:
    places = list(_places(tree))
    if not places:
        return odd_value(random)
    holder, key = random.choice(places)
    kind = random.random()
    if kind < 0.2:
        del holder[key]
    elif kind < 0.7:
        holder[key] = odd_value(random)
    elif kind < 0.8 and isinstance(holder[key], str) and holder[key]:
        cut = random.randrange(len(holder[key]))
        holder[key] = holder[key][:cut] + random.choice(TEXTS) + holder[key][cut + random.randint(0, 2) :]
    elif kind < 0.9 and isinstance(holder, list):
        holder.insert(random.randint(0, len(holder)), holder[key])
    elif kind < 0.9:
        holder[random.choice(TEXTS) if random.random() < 0.3 else key] = holder[key]
    else:
        other, name = random.choice(places)
        holder[key] = json.loads(json.dumps(other[name])) if random.random() < 0.8 else [holder[key]]
    return tree


def _places(tree: Any) -> Any:
    stack, seen = [tree], set()
    while stack:
        holder = stack.pop()
        if isinstance(holder, dict | list) and id(holder) not in seen:  # aliases of YAML may lead in a circle
            seen.add(id(holder))
            for key in holder if isinstance(holder, dict) else range(len(holder)):
                yield holder, key
                stack.append(holder[key])


def changed_bytes(content: bytes, random: Random) -> bytes:
    """Bytes flipped, cut off, left out, repeated or put in, or a whole number of two or four bytes replaced."""
    result = bytearray(content)
    for _ in range(random.choice([1, 1, 1, 2, 4, 8])):
        at = random.randrange(len(result) + 1)
        kind = random.random()
        if kind < 0.35 and at < len(result):
            result[at] = random.choice(
                [0, 1, 0x7F, 0x80, 0xFF, random.randrange(256), result[at] ^ 1 << random.randrange(8)]
            )
        elif kind < 0.45:
            del result[at:]
        elif kind < 0.6:
            del result[at : at + random.choice([1, 2, 4, 16, 64])]
        elif kind < 0.7:
            result[at:at] = result[at : at + random.choice([1, 4, 16, 64])]
        elif kind < 0.8:
            result[at:at] = random.randbytes(random.choice([1, 2, 4, 16]))
        else:
            form = random.choice([">H", "<H", ">I", "<I"])
            number = random.choice([0, 1, 2, 255, 256, 0x7FFF, 0xFFFF, random.randrange(65536)])
            number = number * 65537 if form[1] == "I" and random.random() < 0.5 else number
            result[at : at + struct.calcsize(form)] = struct.pack(form, number % 256 ** struct.calcsize(form))
    return bytes(result)


def _or_bytes(change: Mutate) -> Mutate:
    """A change of structure; of bytes now and then, and where the content has no such structure any more."""

    def changed(content: bytes, random: Random) -> bytes:
        if random.random() < 0.15:
            return changed_bytes(content, random)
        try:
            return change(content, random)
        except (ValueError, LookupError, TypeError, RecursionError, OverflowError, SyntaxError):
            return changed_bytes(content, random)
        except (yaml.YAMLError, zipfile.BadZipFile, zlib.error, struct.error, EOFError, AttributeError):
            return changed_bytes(content, random)
        except NotImplementedError:  # a zip file of another kind
            return changed_bytes(content, random)

    return changed


@_or_bytes
def changed_json(content: bytes, random: Random) -> bytes:
    """JSON with parts of it changed; NaN and lone surrogates come as Python writes them."""
    text = json.dumps(changed_tree(json.loads(content), random), ensure_ascii=random.random() < 0.7)
    return text.encode("utf-8", "surrogatepass")


@_or_bytes
def changed_yaml(content: bytes, random: Random) -> bytes:
    """YAML with parts of it changed, an explicit tag put before a value, or an alias in the place of one."""
    tree = yaml.safe_load(content)
    if random.random() < 0.6:
        return yaml.safe_dump(changed_tree(tree, random), allow_unicode=True).encode("utf-8", "surrogatepass")
    lines = content.decode().splitlines()
    at = random.randrange(len(lines))
    name, colon, value = lines[at].partition(":")
    tags = [
        "int",
        "float",
        "bool",
        "timestamp",
        "binary",
        "null",
        "set",
        "omap",
        "pairs",
        "seq",
        "map",
        "str",
        "python/name:os",
    ]
    odd = [f"!!{random.choice(tags)} {random.choice(TEXTS[:9])}", "&x [*x]", "*x", f"&x {value}", "0x" + "f" * 6000]
    odd += [
        "1:2:3" * 200,
        "9" * 5000,
        "2001-99-99",
        "1e999",
        "[" * random.choice([50, 400]),
        "{<<: *x}",
        "!!int",
        "? ",
        "- - -",
    ]
    lines[at] = f"{name}{colon or ':'} {random.choice(odd)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@_or_bytes
def changed_xml(content: bytes, random: Random) -> bytes:
    """XML with elements dropped, repeated, moved, renamed, nested or given other text."""
    root = ElementTree.fromstring(content)
    for _ in range(random.randint(1, 3)):
        elements = [(parent, child) for parent in root.iter() for child in parent]
        if not elements:
            break
        parent, child = random.choice(elements)
        kind = random.random()
        if kind < 0.2:
            parent.remove(child)
        elif kind < 0.65:
            child.text = str(odd_value(random)) if random.random() < 0.95 else "x" * 100_000
        elif kind < 0.75:
            parent.insert(0, child)
        elif kind < 0.85:
            child.tag = random.choice([element.tag for _, element in elements])
        else:
            inner = child
            for _ in range(random.choice([1, 1, 1, 3000])):
                inner = ElementTree.SubElement(inner, random.choice(["object", "name", "a"]))
    return ElementTree.tostring(root, encoding=random.choice(["utf-8", "utf-8", "us-ascii", "utf-16"]))


@_or_bytes
def changed_words(content: bytes, random: Random) -> bytes:
    """Lines of words with words dropped, repeated or replaced, and lines too."""
    lines = [line.split() for line in content.decode().splitlines()]
    for _ in range(random.randint(1, 3)):
        line = random.choice(lines)
        kind = random.random()
        if kind < 0.15:
            lines.append(list(line))
        elif kind < 0.35 and line:
            line.pop(random.randrange(len(line)))
        elif kind < 0.5:
            line.insert(random.randint(0, len(line)), repr(round(random.random(), 3)))
        elif line:
            line[random.randrange(len(line))] = str(odd_value(random))
    return random.choice(["\n", "\n", "\r\n"]).join(map(" ".join, lines)).encode("utf-8", "surrogatepass")


@_or_bytes
def changed_png(content: bytes, random: Random) -> bytes:
    """A PNG with chunks changed, dropped, repeated or put in, and right checksums; of other images the bytes."""
    if not content.startswith(PNG_HEAD):
        return changed_bytes(content, random)
    chunks = png_chunks(content)
    at = random.randrange(len(chunks))
    name, data = chunks[at]
    kind = random.random()
    if kind < 0.15:
        chunks.pop(at)
    elif kind < 0.25:
        chunks.insert(random.randint(0, len(chunks)), chunks[at])
    elif kind < 0.45:
        chunks.insert(random.randint(1, len(chunks)), _odd_chunk(random))
    elif name == b"IDAT" and kind < 0.75:
        chunks[at] = (name, zlib.compress(changed_bytes(zlib.decompress(data), random)))
    else:
        chunks[at] = (name, changed_bytes(data, random))
    return png_of(chunks)


def _odd_chunk(random: Random) -> tuple[bytes, bytes]:
    """A chunk that few PNGs have; text and profiles come as decompression bombs now and then."""
    packed = zlib.compress(b"a" * random.choice([0, 10, 2_000_000]))
    name = random.choice(
        [
            b"zTXt",
            b"iTXt",
            b"tEXt",
            b"iCCP",
            b"tRNS",
            b"gAMA",
            b"pHYs",
            b"eXIf",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"PLTE",
            b"sRGB",
        ]
    )
    heads = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"name\0\0"}
    data = heads[name] + packed if name in heads else random.randbytes(random.choice([0, 1, 3, 4, 8, 9, 13, 26, 30]))
    return name, data


@_or_bytes
def changed_safetensors(content: bytes, random: Random) -> bytes:
    """A safetensors file whose header, or the JSON that is text in it, has parts changed, and a length that fits."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    text = header.get("__metadata__", {}).get("bana")
    if text is not None and random.random() < 0.6:
        header["__metadata__"]["bana"] = json.dumps(changed_tree(json.loads(text), random))
    else:
        header = changed_tree(header, random)
    packed = json.dumps(header).encode()
    if random.random() < 0.9:
        packed += b" " * (-len(packed) % 8)
    return struct.pack("<Q", len(packed)) + packed + content[8 + length :]


@_or_bytes
def changed_zip(content: bytes, random: Random) -> bytes:
    """A zip file with one of its files changed, dropped, repeated or renamed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
    at = random.randrange(len(files))
    name, data = files[at]
    kind = random.random()
    if kind < 0.1:
        files.pop(at)
    elif kind < 0.2:
        files.append((name, changed_bytes(data, random)))
    elif kind < 0.3:
        files[at] = (random.choice(files)[0] if random.random() < 0.5 else name + "x", data)
    else:
        picked = next((number for number, (each, _) in enumerate(files) if each.endswith(".pkl")), at)
        name, data = files[picked]
        files[picked] = (name, changed_bytes(data, random))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", random.choice([zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED])) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return packed.getvalue()
