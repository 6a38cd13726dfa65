"""The configuration file: defaults, ranges, and every error at once with its line."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from smoothtask.config.located import ConfigError
from smoothtask.config.settings import Settings, effects, load_settings, parse_settings
from smoothtask.config.yamlfile import load_text
from smoothtask.model.classes import DEFAULT_EFFECTS, IoClass, PriorityClass

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def parse(text: str) -> Settings:
    return parse_settings(load_text(text.encode(), "c.yaml"))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [str(p) for p in caught.value.problems]


def test_defaults_are_those_of_the_model() -> None:
    assert effects(Settings()) == DEFAULT_EFFECTS
    assert parse("") == Settings()


def test_a_missing_file_is_an_error_only_when_it_was_named(tmp_path: Path) -> None:
    missing = tmp_path / "config.yaml"
    assert load_settings(missing, required=False) == Settings()
    assert load_settings(None) == Settings()
    with pytest.raises(ConfigError, match=r"config\.yaml:1: cannot be read: No such file"):
        load_settings(missing)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, required=False)


def test_a_class_keeps_the_defaults_of_what_is_left_out() -> None:
    settings = parse("classes: {IDLE: {nice: 12}, NORMAL: {slice_ms: 2.5}}")
    idle = effects(settings)[PriorityClass.IDLE]
    assert (idle.nice, idle.autogroup_nice, idle.io_class) == (12, 19, IoClass.IDLE)
    assert effects(settings)[PriorityClass.NORMAL].slice_ns == 2_500_000


def test_every_error_is_said_at_once_with_line_field_and_expectation() -> None:
    text = """\
mode: turbo
tick:
  interval_s: 0
contenton: {}
classes:
  BACKGROUND: {nice: 25}
  IDLE:
    io_klass: idle
probe: 5
"""
    assert problems(text) == [
        "c.yaml:1: mode: expected 'hybrid', 'rules-only' or 'dry-run', got 'turbo'",
        "c.yaml:3: tick.interval_s: expected greater than or equal to 0.1, got 0",
        "c.yaml:4: contenton: unknown setting; did you mean contention?",
        "c.yaml:6: classes.BACKGROUND.nice: expected less than or equal to 19, got 25",
        "c.yaml:8: classes.IDLE.io_klass: unknown setting; did you mean io_class?",
        "c.yaml:9: probe: expected settings below it, got 5",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("classes: {IDLE: {nice: 4}}", "classes.IDLE: expected nice ≥ 10, that of BACKGROUND above it, got 4"),
        ("classes: {INTERACTIVE: {nice: -8}}", "expected nice ≥ -7, that of LATENCY_CRITICAL above it"),
        ("classes: {LATENCY_CRITICAL: {nice: 3}}", "classes.INTERACTIVE: expected nice ≥ 3"),
        ("classes: {NORMAL: {cpu_weight: 200}}", "classes.NORMAL: expected cpu_weight ≤ 150"),
        ("classes: {BACKGROUND: {autogroup_nice: -1}}", "classes.BACKGROUND: expected autogroup_nice ≥ 0"),
        ("classes: {LATENCY_CRITICAL: {nice: -11}}", "greater than or equal to -10"),
        ("classes: {NORMAL: {io_class: realtime}}", "expected 'best-effort' or 'idle'"),
        ("tick: {interval_s: 10}", "tick: expected busy_interval_s ≤ interval_s ≤ idle_interval_s"),
        ("[1, 2]", "expected settings"),
        ("store: {record: 'yes'}", "store.record: expected a valid boolean, got 'yes'"),
        ("tick: {interval_s: .nan}", "expected a finite number"),
        ("protected_apps: [a, '']", "protected_apps[1]: "),
        ("rules: {ananicy: etc}", "rules.ananicy: "),
    ],
)
def test_errors(text: str, said: str) -> None:
    assert said in "\n".join(problems(text))


def test_what_people_write_for_nothing() -> None:
    """A section whose lines are commented out, and YAML's bare `off`."""
    settings = parse("tick:\nrules: {ananicy: off}\nprotected_apps: [firefox]\ntasks: {source: bpf}\n")
    assert settings.tick == Settings().tick
    assert settings.rules.ananicy is None
    assert settings.protected_apps == ("firefox",)


def leaves(section: type[BaseModel], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += leaves(inner, (*at, name))
        else:
            found.append((*at, name))
    return found


@pytest.mark.parametrize("field", leaves(Settings), ids=".".join)
def test_every_setting_refuses_what_it_is_not_and_says_where(field: tuple[str, ...]) -> None:
    wrong: Any = [{}]
    indented = "".join(f"{'  ' * i}{part}:\n" for i, part in enumerate(field[:-1]))
    text = f"{indented}{'  ' * (len(field) - 1)}{field[-1]}: {wrong}\n"
    said = problems(text)
    assert said[0].startswith(f"c.yaml:{len(field)}: {'.'.join(field)}")


def test_every_setting_is_documented() -> None:
    text = DOCS.read_text()
    missing = [f for f in leaves(Settings) if f"`{f[-1]}`" not in text]
    assert not missing
    for section in ("tick", "contention", "classes", "store", "control"):
        assert f"`{section}`" in text
