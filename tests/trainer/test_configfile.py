"""Changes of a configuration file: comments stay, nothing but the wanted settings changes, the old file is kept."""

import stat
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.config.located import ConfigError
from smoothtask.config.settings import Settings, load_settings
from smoothtask_trainer.configfile import EditError, apply, edited
from smoothtask_trainer.space import TURNED, BadValueError, with_values

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
FILE = """\
# mine
mode: dry-run   # for now

hysteresis:  # slow
    # three is the default
    snapshots: 5   # of mine

tick:
  interval_s: 2
"""


def test_a_value_is_changed_where_it_stands_and_comments_stay(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    edit = edited(path, {"hysteresis.snapshots": 2.0, "hysteresis.min_class_s": 3, "contention.hold_s": 7.5})
    assert "    snapshots: 2   # of mine" in edit.after
    assert "    min_class_s: 3.0\n" in edit.after
    assert edit.after.endswith("contention:\n  hold_s: 7.5\n")
    assert all(line in edit.after for line in ("# mine", "    # three is the default", "mode: dry-run   # for now"))
    assert "-    snapshots: 5   # of mine" in edit.diff
    assert path.read_text() == FILE


def test_applying_keeps_the_old_file_and_its_mode(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    path.chmod(0o640)
    kept = apply(edited(path, {"hysteresis.snapshots": 2}), NOON)
    assert kept is not None
    assert kept.read_text() == FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert load_settings(path).hysteresis.snapshots == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml", "config.yaml.before-tune-20260102T120000"]


def test_a_missing_file_is_made(tmp_path):
    path = tmp_path / "etc" / "config.yaml"
    assert apply(edited(path, {"contention.hold_s": 4}), NOON) is None
    assert load_settings(path) == with_values(Settings(), {"contention.hold_s": 4.0})


def test_what_changed_in_the_meantime_is_left_alone(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    edit = edited(path, {"hysteresis.snapshots": 2})
    path.write_text(FILE + "# more\n")
    with pytest.raises(EditError, match="changed in the meantime"):
        apply(edit, NOON)
    assert path.read_text() == FILE + "# more\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["hysteresis: {snapshots: 5}\n", '"hysteresis":\n  snapshots: 5\n'])
def test_a_file_written_in_another_way_is_left_to_its_owner(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(EditError, match=r"write into it yourself hysteresis.snapshots: 2"):
        edited(path, {"hysteresis.snapshots": 2})


def test_a_file_that_is_wrong_already_is_not_touched(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("hysteresis:\n  snapshotz: 3\n")
    with pytest.raises(ConfigError, match="did you mean snapshots"):
        edited(path, {"hysteresis.snapshots": 2})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hysteresis.snapshots": 2.5}, "integer"),
        ({"hysteresis.snapshots": 0}, "greater than or equal to 1"),
        ({"contention.cpu_some_pct": float("nan")}, "finite|greater|number"),
        ({"classes.nice": 1}, "no such setting"),
        ({"nowhere.at_all": 1}, "no such setting"),
    ],
)
def test_values_are_held_to_the_schema(values, said):
    with pytest.raises(BadValueError, match=said):
        with_values(Settings(), values)


KEYS = [f"{section}.{name}" for section, names in TURNED.items() for name in names]


@given(values=st.dictionaries(st.sampled_from(KEYS), st.integers(1, 60)), before=st.sampled_from(["", FILE, "# x\n"]))
def test_an_edit_means_exactly_what_was_asked(tmp_path_factory, values, before):
    path = tmp_path_factory.mktemp("edit") / "config.yaml"
    if before:
        path.write_text(before)
    values = {k: min(v, 20) if "pct" in k else v for k, v in values.items()}
    wanted = with_values(load_settings(path, required=False), values)
    apply(edited(path, values), NOON)
    assert load_settings(path) == wanted
