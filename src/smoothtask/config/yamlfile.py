"""YAML that remembers where each value stood, so that an error can say file, line and field."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from smoothtask.config.located import ConfigError, Located, Location, Problem, field_name

SIZE_LIMIT = 16 * 1024 * 1024
DEPTH_LIMIT = 32

# The C parser is about ten times faster; a source build of PyYAML may lack it.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_file(path: Path) -> Located:
    """Read a YAML file; an empty one is an empty mapping.

    Raises ConfigError for bad YAML, duplicate keys, aliases (a bomb needs them, a rule file does
    not), excessive size or depth; OSError when it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(SIZE_LIMIT + 1)
    return load_text(data, str(path))


def load_text(data: bytes, name: str) -> Located:
    """`load_file` for bytes already read from the file *name*."""
    if len(data) > SIZE_LIMIT:
        raise ConfigError([Problem(name, 1, "", f"expected at most {SIZE_LIMIT} bytes")])
    loader = None
    try:
        text = data.decode("utf-8")
        loader = _Loader(text)
        node = loader.get_single_node()
        builder = _Builder(name, loader)
        value = {} if node is None else builder.build(node, ())
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise ConfigError([Problem(name, line, "", "expected UTF-8 text")]) from e
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        what = getattr(e, "problem", None) or str(e)
        raise ConfigError([Problem(name, mark.line + 1 if mark else 1, "", f"not YAML: {what}")]) from e
    finally:
        if loader is not None:
            loader.dispose()
    if builder.problems:
        raise ConfigError(builder.problems)
    return Located(name, value, builder.lines)


class _Builder:
    """Nodes → values, noting lines and problems on the way."""

    def __init__(self, file: str, loader: Any) -> None:
        self.file = file
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []
        self._loader = loader
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, at: Location) -> Any:
        line = node.start_mark.line + 1
        self.lines[at] = line
        if id(node) in self._seen:
            return self._refuse(line, at, "aliases (*name) are not supported here: write the value out")
        if len(at) > DEPTH_LIMIT:
            return self._refuse(line, at, f"expected at most {DEPTH_LIMIT} levels")
        if isinstance(node, yaml.MappingNode):
            self._seen.add(id(node))
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            self._seen.add(id(node))
            return [self.build(child, (*at, i)) for i, child in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as e:
            return self._refuse(line, at, f"cannot be read as a value: {getattr(e, 'problem', None) or e}")

    def _mapping(self, node: yaml.MappingNode, at: Location) -> dict[Hashable, Any]:
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(line, at, "expected a plain word as key")
                continue
            key = self._loader.construct_object(key_node)
            where = (*at, key if isinstance(key, str | int) else str(key))
            if key in result:
                self._refuse(line, where, "this key stands here twice")
                continue
            result[key] = self.build(value_node, where)
            self.lines[where] = line
        return result

    def _refuse(self, line: int, at: Location, message: str) -> None:
        self.problems.append(Problem(self.file, line, field_name(at), message))
