"""What is wrong with a setting, in plain words, from what pydantic says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_KINDS = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a section of settings",
    "model_type": "a section of settings",
    "model_attributes_type": "a section of settings",
}
"""What a value must be, by pydantic's name of the error."""

_RANGES = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
"""The limit that a number misses, likewise: its key in the error's context, and how it reads."""


def message_of(error: ErrorDetails, settings: type[BaseModel]) -> str:
    """One line that names the setting, what it must be and what it is.

    Args:
        error: The first of pydantic's errors.
        settings: What was to be read.
    """
    place = " ".join(".".join(map(str, error["loc"])).split())
    value, context = error["input"], error.get("ctx", {})
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"{place:.200}: no such setting{_suggestion(error['loc'], settings)}"
    if kind == "value_error":
        return f"{place}: {context['error']}" if place else str(context["error"])
    wanted = _KINDS.get(kind) or _limits(error["loc"], settings, kind, context) or _other(kind, context)
    says = error["msg"] if wanted is None else f"must be {wanted}"
    return f"{place}{': ' if place else ''}{says}, not {value!r:.200}"


def _other(kind: str, context: Mapping[str, Any]) -> str | None:
    if kind == "literal_error":
        return f"one of {str(context['expected']).replace(' or ', ', ')}"
    if kind == "too_short":
        return f"a list with a length of at least {context['min_length']}"
    if kind == "too_long":
        return f"a list with a length of at most {context['max_length']}"
    if kind == "missing":
        return "given"
    return None


def _limits(place: Sequence[int | str], settings: type[BaseModel], kind: str, context: Mapping[str, Any]) -> str | None:
    """The whole range of a number that misses one of its limits."""
    if kind not in _RANGES:
        return None
    key, words = _RANGES[kind]
    missed = f"{words} {context[key]:g}"
    section = _section(place[:-1], settings)
    field = None if section is None else section.model_fields.get(str(place[-1]))
    allowed = [
        f"{text} {getattr(limit, name):g}"
        for limit in (() if field is None else field.metadata)
        for name, text in _RANGES.values()
        if hasattr(limit, name)
    ]
    return " and ".join(allowed) if missed in allowed else missed


def _suggestion(place: Sequence[int | str], settings: type[BaseModel]) -> str:
    """The setting that was meant, if one is like the one given."""
    section = _section(place[:-1], settings)
    names = [] if section is None else list(section.model_fields)
    close = get_close_matches(str(place[-1]), names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}" if names else ""


def _section(place: Sequence[int | str], settings: type[BaseModel]) -> type[BaseModel] | None:
    """The settings at a place, such as ``label.crf`` of a recipe."""
    section: type[BaseModel] | None = settings
    for name in place:
        field = None if section is None else section.model_fields.get(str(name))
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return section
