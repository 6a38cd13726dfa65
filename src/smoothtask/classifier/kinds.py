"""What each type of application is, in a line from the rule files: for a person who chooses one."""

from collections.abc import Iterable
from pathlib import Path

from smoothtask.classifier.schema import parse_rules
from smoothtask.config.located import ConfigError
from smoothtask.config.yamlfile import load_text
from smoothtask.model.text import sanitise

LINE_LIMIT = 120


def descriptions(folders: Iterable[Path]) -> dict[str, str]:
    """Type → its description, empty where it has none; *folders*: of rule files, the weakest first.

    What cannot be read is left out: lint says what is wrong with it.
    """
    found: dict[str, str] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        try:
            data = path.read_bytes()
            # Parsing takes its time, and one file in twenty has types.
            parsed = parse_rules(load_text(data, str(path)))[0] if b"types:" in data else None
        except (OSError, ConfigError):
            continue
        if parsed is not None:
            found |= {name: sanitise(kind.description, LINE_LIMIT) for name, kind in parsed.types.items()}
    return found
