"""Packages that only some of what bana does needs: the extras of its installation."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bana.errors import SettingsError


def needed(package: str, extra: str, what: str) -> Any:
    """Import a package of an extra.

    Args:
        package: The module's name.
        extra: The extra of bana that brings it.
        what: What needs it, for the message.

    Raises:
        SettingsError: If it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise SettingsError(f"{what}: needs the package {name}; pip install '.[{extra}]' in bana's folder") from error
