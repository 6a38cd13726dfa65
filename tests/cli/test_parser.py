"""What may stand on the command line, and where."""

import argparse

import pytest

from smoothtask.cli.parser import CLASSES, class_name, duration_s, make_parser
from smoothtask.cli.verbs import VERBS
from smoothtask.model.classes import PriorityClass


def commands() -> set[str]:
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return set(action.choices)
    raise AssertionError


def test_every_command_does_something() -> None:
    assert commands() == set(VERBS)


def test_the_classes_are_the_models() -> None:
    assert set(CLASSES) == set(PriorityClass.__members__)


@pytest.mark.parametrize(
    "line",
    [
        "--config c --runtime-dir r --state-dir s status",
        "status --config c --runtime-dir r --state-dir s",
        "--config c status --runtime-dir r --state-dir s",
        "--config c --runtime-dir x status --runtime-dir r --state-dir s",
    ],
)
def test_places_may_stand_on_either_side(line: str) -> None:
    options = make_parser().parse_args(line.split())
    assert (options.config, options.runtime_dir, options.state_dir) == ("c", "r", "s")


def test_daemon_has_two_spellings() -> None:
    assert make_parser().parse_args(["--daemon", "--observe", "--foreground"]).daemon
    options = make_parser().parse_args(["daemon", "--observe", "--foreground"])
    assert (options.command, options.observe) == ("daemon", True)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800)])
def test_times(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5m", "10 m", "5w", "m", "1e3", "٣", "9" * 400])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time such as"):
        duration_s(text)


def test_class_names() -> None:
    assert class_name("latency-critical") == "LATENCY_CRITICAL"
    with pytest.raises(argparse.ArgumentTypeError, match="expected one of"):
        class_name("high")


@pytest.mark.parametrize(
    "line",
    [
        "override g IDLE --for soon",
        "pin g HIGH",
        "config",
        "fly",
        "pin g",
        "pin g IDLE --cpu lots",
        "pin g IDLE --io-read x",
        "--conf x top",
    ],
)
def test_a_wrong_command_line_is_status_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(line.split())
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", ["--depth 11", "--depth 0", "--depth x", "--trees 2001", "--rate nan", "--rate 0", "--rate 2"]
)
def test_a_model_that_no_daemon_would_load_is_not_asked_for(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["train", *words.split()])
    assert "expected a number from" in capsys.readouterr().err
