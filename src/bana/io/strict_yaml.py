"""Reading YAML that is not trusted."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.events import AliasEvent
from yaml.nodes import Node, ScalarNode

from bana.errors import DataError

_MAX_BITS = 64


def parse_yaml(text: str | bytes, where: str) -> Any:
    """The plain values of a YAML text: no Python objects, no aliases, no whole number of more than 64 bits.

    Args:
        text: The text, or its bytes in UTF-8 or UTF-16.
        where: The file, for the message.

    Raises:
        DataError: If it is not such YAML.
    """
    try:
        loader = _StrictLoader(text)  # it reads the head of the text already
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join(str(error.problem).split())
        raise DataError(f"{where}: line {line}: is not YAML ({problem:.200}); correct it") from error
    # A value that does not fit its explicit tag makes PyYAML raise nearly anything: KeyError, IndexError, ...
    except Exception as error:
        raise DataError(f"{where}: is not YAML ({type(error).__name__}); correct it") from error


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's own safe loader, without what makes a short text long."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.check_event(AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            # Merged or shown, a few lines of aliases of aliases would take all the memory.
            raise ComposerError(None, None, "an alias (*name) is not allowed: write the value itself", mark)
        return super().compose_node(parent, index)

    def construct_yaml_int(self, node: ScalarNode) -> int:
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _MAX_BITS:  # Python refuses to print one of thousands of digits
            raise ConstructorError(None, None, "a whole number has more than 64 bits", node.start_mark)
        return value


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
