"""Packages with the name of a function of the API: ``bana.label`` is a package, and ``bana.label(...)`` labels.

Knows the functions only by name and imports them when they are first used, so every layer may stand on it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

API = {
    "check": "bana.api.datasets",
    "convert": "bana.api.datasets",
    "evaluate": "bana.api.datasets",
    "label": "bana.api.labeling",
    "merge": "bana.api.labeling",
    "tune": "bana.api.labeling",
    "compare": "bana.api.comparing",
    "reproduce": "bana.api.comparing",
    "affinity": "bana.api.training",
    "classify": "bana.api.training",
    "refine": "bana.api.training",
    "segment": "bana.api.training",
    "predict": "bana.api.predicting",
    "export": "bana.api.predicting",
    "demo": "bana.api.runs",
    "run": "bana.api.runs",
    "report": "bana.api.runs",
    "app": "bana.api.runs",
}
"""The functions of the Python interface and the modules that hold them."""


class CallableModule(ModuleType):
    """A package that calls the API's function of its name and shows that function's documentation and signature."""

    @property
    def _function(self) -> Callable[..., Any]:
        name = self.__name__.rpartition(".")[2]
        function: Callable[..., Any] = getattr(import_module(API[name]), name)
        return function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function."""
        return self._function(*arguments, **options)

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        """The function's documentation, which ``help`` shows."""
        return self._function.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        """The function's signature."""
        return inspect.signature(self._function)


def make_callable(name: str) -> None:
    """Let the package that is being imported under ``name`` be called."""
    sys.modules[name].__class__ = CallableModule
