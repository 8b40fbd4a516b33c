"""Recipes: one YAML file each, checked against the settings of the stage they are for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bana.errors import DataError, SettingsError
from bana.io.strict_yaml import parse_yaml


class Settings(BaseModel):
    """Base of every stage's settings: frozen, and an unknown name is an error.

    Attributes:
        renamed: Earlier names of settings, which saved files and presets may still have, and today's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    renamed: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {cls.renamed.get(name, name): value for name, value in content.items()}


AnySettings = TypeVar("AnySettings", bound=Settings)


def load_preset(name: str, kind: type[AnySettings]) -> AnySettings:
    """Settings from a shipped preset or a YAML file.

    Args:
        name: A shipped preset's name, or the path of a YAML file.
        kind: The settings that it shall hold.

    Raises:
        SettingsError: If there is no such preset, or it is not YAML, or a value is not allowed.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: preset cannot be read ({error}); check the path") from error
    elif name in preset_names():
        text = files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise SettingsError(f"preset {name!r} is not known; choose one of {', '.join(preset_names())}, or a .yaml file")
    try:
        content = parse_yaml(text, f"{name}: preset")
    except DataError as error:
        raise SettingsError(str(error)) from error
    return parse_settings(content if content is not None else {}, kind, name)


def parse_settings(content: Any, kind: type[AnySettings], source: str) -> AnySettings:
    """Settings from plain values.

    Raises:
        SettingsError: If a name is not known or a value is not allowed; the first one is named.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(".".join(map(str, first["loc"])).split()) or "the whole"
        raise SettingsError(
            f"{source}: {place:.200}: {first['msg']} (it is {first['input']!r:.200}); correct it"
        ) from error


def preset_names() -> list[str]:
    """The names of the shipped presets."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__package__).iterdir() if entry.name.endswith(".yaml")
    )
