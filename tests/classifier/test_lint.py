"""Lint: everything wrong in every layer at once, each with its line."""

from pathlib import Path

import pytest

from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.lint import Finding, Severity, lint

TYPES = "types: {low: {class: IDLE}, fast: {class: LATENCY_CRITICAL, process_type: gui}, plain: {}}\n"


def findings(tmp_path: Path, *matches: str, user: str = "", kind: str = "plain", more: str = "") -> list[Finding]:
    """For applications a0, a1, … of the vendor layer, on lines 3, 4, …"""
    lines = (f"- {{id: a{n}, type: {kind}, match: [{m}]{more}}}\n" for n, m in enumerate(matches))
    for layer, text in {"vendor": TYPES + "applications:\n" + "".join(lines), "user": user}.items():
        (tmp_path / layer).mkdir()
        (tmp_path / layer / "a.yaml").write_text(text)
    nowhere = tmp_path / "nowhere"
    files = RuleFiles(runtime=nowhere, vendor=tmp_path / "vendor", distro=nowhere, user=tmp_path / "user",
                      ananicy=tmp_path / "ananicy", homes=False)  # fmt: skip
    return lint(files)


def said(found: list[Finding], word: str) -> list[tuple[int, str]]:
    """Line and field of the findings that have *word*."""
    return [(f.line, f.field) for f in found if word in f.message]


@pytest.mark.parametrize(
    ("matches", "shadowed"),
    [
        (("{name: x}", "{name: x}"), [(3, "a0")]),
        (("{name: [x, y]}", "{name: [y, x, z]}"), [(3, "a0")]),
        (("{name: [x, y]}", "{name: y}"), []),
        (("{name: x}, {exe: /x}", "{name: x}"), []),
        (("{name: x}, {exe: /x}", "{name: x}, {exe: [/y, /x]}"), [(3, "a0")]),
        (("{name: x, tty: true}", "{name: x}"), []),  # it says more
        (("{name: x, tty: true}", "{name: x, tty: false}"), []),
        (("{environ: {A: '*'}}", "{environ: {A: '*'}}"), [(3, "a0")]),
        (("{exe: /opt/x}", "{exe: [/opt/x, '/opt/*']}"), []),  # an exact path says more
    ],
)
def test_a_rule_that_can_never_win_is_named(
    tmp_path: Path, matches: tuple[str, ...], shadowed: list[tuple[int, str]]
) -> None:
    """When each of its alternatives is covered by one that wins."""
    assert said(findings(tmp_path, *matches), "never wins") == shadowed


def test_a_higher_layer_shadows(tmp_path: Path) -> None:
    """Under another name; the same id replaces, as it is meant to."""
    user = "applications:\n- {id: mine, type: plain, match: [{name: x}]}\n- {id: a1, type: plain, match: [{name: y}]}\n"
    assert said(findings(tmp_path, "{name: x}", "{name: y}", user=user), "never wins") == [(3, "a0")]


@pytest.mark.parametrize(
    ("match", "word"),
    [
        ("{name: [tool, node]}", "interpreter"),
        ("{exe: '*'}", "nearly every"),
        ("{cgroup: '/*', tty: true}", "nearly every"),
        ("{cmdline: '.*'}", "nearly every"),
    ],
)
def test_what_says_too_little_is_warned_of(tmp_path: Path, match: str, word: str) -> None:
    """A further condition helps."""
    narrow = match.replace("}", ", user: alice}")
    found = findings(tmp_path, match, narrow)
    assert said(found, word) == [(3, "a0")]
    assert Severity.ERROR not in {f.severity for f in found}


@pytest.mark.parametrize("process_type", ["daemon", "batch", "service", "maintenance"])
def test_background_work_is_not_latency_critical(tmp_path: Path, process_type: str) -> None:
    """Whatever its rule says."""
    found = findings(tmp_path, "{name: x}", kind="fast", more=f", process_type: {process_type}")
    assert said(found, "latency-critical") == [(3, "a0")]


def test_a_window_may_be_latency_critical(tmp_path: Path) -> None:
    """The same type, unchanged."""
    assert said(findings(tmp_path, "{name: x}", kind="fast"), "latency-critical") == []


def test_lowering_what_starts_others_is_an_error(tmp_path: Path) -> None:
    """What it starts would inherit it."""
    found = findings(tmp_path, "{name: x}", kind="low", more=", starts_others: true")
    assert said([f for f in found if f.severity is Severity.ERROR], "inherit") == [(3, "a0")]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (", class: IDLE, tags: [audio]", "sound"),
        (", class: INTERACTIVE", "not for INTERACTIVE"),
        (", starts_others: true", "starts other programs"),
        (", protected: true", "protected"),
    ],
)
def test_limits_that_never_hold_are_errors(tmp_path: Path, more: str, word: str) -> None:
    """Those of what may become a hog are fine."""
    assert said(findings(tmp_path, "{name: x}", more=f"{more}, limits: {{cpu: 80%}}"), word) == [(3, "a0")]


def test_limits_of_what_may_be_lowered_are_fine(tmp_path: Path) -> None:
    """By its class, or by behaviour."""
    found = findings(tmp_path, "{name: x}", more=", limits: {cpu: 80%}")
    assert not [f for f in found if f.severity is Severity.ERROR]


def test_a_broken_file_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    """Errors, warnings, ananicy's defects and unused types in one go."""
    (tmp_path / "ananicy").mkdir()
    (tmp_path / "ananicy" / "x.rules").write_text('\n{"name": "x", "type": "NoSuch"}+\n')
    found = findings(tmp_path, "{name: node}", user="surprise: 1\n")
    assert [(Path(f.file).name, f.line) for f in found if f.severity is Severity.ERROR] == [("a.yaml", 1)]
    assert said(found, "interpreter") == [(3, "a0")]
    assert said(found, "undefined type NoSuch") == [(2, "type")]
    assert said(found, "text after the object") == [(2, "")]
    assert said(found, "no application is of this type") == [(1, "types.fast"), (1, "types.low")]
