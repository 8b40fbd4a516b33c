"""Recipes: one YAML file each, checked against the settings of the stage they are for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bana.errors import DataError, SettingsError
from bana.io.strict_yaml import parse_yaml
from bana.presets.messages import message_of

EXTENDS = "extends"
"""The key of a preset that names the preset whose settings it starts from."""


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

    A file with ``extends: lite0`` says only what differs from lite0; a path is relative to the file. A section that is
    empty has the defaults of the code, which are the paper's.

    Args:
        name: A shipped preset's name, or the path of a YAML file.
        kind: The settings that it holds.

    Raises:
        SettingsError: If there is no such preset, it is not YAML, it extends itself, or a value is not allowed.
    """
    content = _content(name, ())
    if isinstance(content, dict):
        content = {section: values for section, values in content.items() if values is not None}
    return parse_settings(content, kind, name)


def _content(name: str, extended_by: tuple[str, ...]) -> Any:
    """The plain values of a preset, with those of the preset that it extends."""
    content = _read(name)
    if not isinstance(content, dict) or EXTENDS not in content:
        return content
    base = content.pop(EXTENDS)
    if not isinstance(base, str):
        raise SettingsError(f"{name}: {EXTENDS}: must be the name of a preset, not {base!r:.200}")
    if _is_file(base):
        base = str(Path(name).parent / base)
    chain = (*extended_by, name)
    if base in chain:
        raise SettingsError(f"{name}: {EXTENDS}: goes round in a circle ({' -> '.join((*chain, base))}); remove one")
    return merged(_content(base, chain), content)


def _read(name: str) -> Any:
    """The plain values in one file, an empty one's too."""
    path = Path(name)
    if _is_file(name):
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
    return {} if content is None else content


def _is_file(name: str) -> bool:
    return Path(name).suffix in {".yaml", ".yml"}


def merged(base: Any, changes: Any) -> Any:
    """``base`` with the values of ``changes``, section by section."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return base | {name: merged(base.get(name), value) for name, value in changes.items()}


def parse_settings(content: Any, kind: type[AnySettings], source: str) -> AnySettings:
    """Settings from plain values.

    Args:
        content: The values by name.
        kind: The settings that they are.
        source: What they come from, for the message.

    Raises:
        SettingsError: If a name is not known or a value is not allowed; the first one is named.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise SettingsError(f"{source}: {message_of(error.errors()[0], kind)}") from error


def change_settings(settings: AnySettings, changes: Mapping[str, Any]) -> AnySettings:
    """Settings with other values for some; None leaves a value as it is.

    Raises:
        SettingsError: If a name is not known or a value is not allowed.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    return parse_settings(merged(settings.model_dump(), given), type(settings), "settings")


def preset_names() -> list[str]:
    """The names of the shipped presets."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__package__).iterdir() if entry.name.endswith(".yaml")
    )
