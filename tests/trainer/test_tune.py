"""The tuner: it finds what helps, proposes nothing without proof on later stretches, and changes nothing unasked."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scenery import classification
from smoothtask.cli import main
from smoothtask.config.settings import Settings, load_settings
from smoothtask.engine.parameters import parameters_of
from smoothtask.model.classes import PriorityClass
from smoothtask.store.frames import read_frames
from smoothtask_trainer import evidence
from smoothtask_trainer.measures import blocks_of, culprit_of, culprits_of, measure
from smoothtask_trainer.replay import replay
from smoothtask_trainer.space import knobs, with_values
from smoothtask_trainer.tune import Bench, TuneError, compare, gain, passes, read_recordings, thinned, tune
from trainer.recordings import RULES, busy, calm, group, recorded

pytest.importorskip("optuna")

DEAF = with_values(Settings(), {"contention.cpu_some_pct": 60.0, "contention.group_wait": 5.0})
"""Under these nobody waits at 50 % pressure: what hogs is never lowered."""
MEANT = {"unit:ffmpeg": PriorityClass.BACKGROUND, "unit:worker": PriorityClass.BACKGROUND}


@pytest.fixture(scope="module")
def deaf_log(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "deaf.db"
    recorded(path, [*calm(60), *busy(60)] * 6, parameters=parameters_of(DEAF), labels=MEANT)
    return path


@pytest.fixture(scope="module")
def good_log(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "good.db"
    recorded(path, [*calm(10), *busy(25)] * 8, labels=MEANT)
    return path


def test_it_finds_the_threshold_that_was_too_high(deaf_log):
    found = tune(read_recordings([deaf_log]), DEAF, trials=40, reach=0.3, seed=3)
    assert found.replayed_as_recorded == 1.0
    assert [t.key for t in found.turns] == ["contention.cpu_some_pct"]  # nothing that makes no difference
    assert found.turns[0].new <= 50 < found.turns[0].old
    for compared in found.compared:
        assert compared.now.coverage == 0.0
        assert compared.then.coverage is not None
        assert compared.then.coverage > 0.6
        assert compared.then.agreement > compared.now.agreement
    assert {s.label for s in found.shifts} >= {"FFmpeg", "worker"}


def test_the_same_seed_finds_the_same(deaf_log):
    log = read_recordings([deaf_log])
    assert tune(log, DEAF, trials=15, seed=5) == tune(log, DEAF, trials=15, seed=5)


def test_good_settings_stay_as_they_are(good_log):
    found = tune(read_recordings([good_log]), Settings(), trials=15, seed=1)
    assert all(c.then.coverage >= c.now.coverage - 0.01 for c in found.compared)
    assert all(gain(c.now, c.then) > 0 for c in found.compared[1:] if found.turns)


def test_what_helps_only_in_what_was_searched_does_not_pass(tmp_path):
    log = tmp_path / "log.db"
    # Only the first half is ever at 50 %: later somebody waits under any settings.
    early, late = [*calm(60), *busy(60)] * 4, [*calm(60), *busy(60, 95.0)] * 2
    recorded(log, early + late, parameters=parameters_of(DEAF))
    bench = Bench(read_recordings([log]), DEAF)
    now, then = bench.measures({}), bench.measures({"contention.cpu_some_pct": 45.0})
    assert gain(now[0], then[0]) > 0
    assert not passes(bench, {"contention.cpu_some_pct": 45.0})


def test_a_recording_under_other_settings_is_not_believed(deaf_log):
    found = tune(read_recordings([deaf_log]), Settings(), trials=5)
    assert found.replayed_as_recorded < 0.9
    assert found.turns == ()
    assert any("recorded under other settings" in s for s in found.said)


def test_too_little_is_said_with_what_is_missing(tmp_path):
    short, mute = tmp_path / "short.db", tmp_path / "mute.db"
    recorded(short, [*calm(5), *busy(20)])
    with pytest.raises(TuneError, match=r"too few.*smoothtask train record"):
        tune(read_recordings([short]), Settings())
    recorded(mute, calm(400))
    with pytest.raises(TuneError, match="label moments"):
        tune(read_recordings([mute]), Settings())


def test_the_person_s_settings_are_left_out_where_nobody_was_seen():
    assert {k.section for k in knobs(Settings(), 0.3, person=False)} == {"contention", "hysteresis"}
    for knob in knobs(Settings(), 5.0, person=True):
        with_values(Settings(), {knob.key: knob.low})
        with_values(Settings(), {knob.key: knob.high})
    assert not any(k.section in {"bad", "behaviour"} for k in knobs(Settings(), 0.3, person=True))


def test_measures_count_what_they_say(good_log):
    frames = list(read_frames(good_log))
    blocks = blocks_of(frames, (0.5, 0.5))
    assert blocks == sorted(blocks)
    (whole,) = measure(replay(frames, RULES), [0] * len(frames), 1, culprits_of(frames))
    halves = measure(replay(frames, RULES), blocks, 2, culprits_of(frames))
    assert whole.hours == pytest.approx(sum(h.hours for h in halves))
    assert whole.labels == sum(h.labels for h in halves) > 0
    assert abs(halves[0].hours - halves[1].hours) < 20 / 3600
    assert whole.coverage == pytest.approx(20 / 25, abs=0.03)  # a likely batch program is lowered after 5 s


def test_groups_that_do_nothing_are_left_out_of_the_search_and_change_nothing(tmp_path):
    log = tmp_path / "log.db"
    idle = [group(f"unit:idle{n}", classification(f"name:idle{n}")) for n in range(30)]
    recorded(
        log, [(pressure, [*groups, *idle]) for pressure, groups in [*calm(30), *busy(60), *calm(40)]], labels=MEANT
    )
    frames = read_recordings([log])
    few = thinned(frames)
    assert {g.group.id for r in few for g in r.frame.groups} == {"unit:vim", "unit:ffmpeg", "unit:worker"}
    blocks, blamed = blocks_of(frames, (0.5, 0.5)), culprits_of(frames)
    for parameters in (RULES, parameters_of(DEAF)):
        assert measure(replay(few, parameters), blocks, 2, blamed) == measure(
            replay(frames, parameters), blocks, 2, blamed
        )


def test_the_culprit_is_who_takes_most_and_is_not_in_use(good_log):
    bad = next(r.frame for r in read_frames(good_log) if r.frame.scores.bad)
    assert culprit_of(bad) == "unit:ffmpeg"
    watched = tuple(
        replace(g, group=replace(g.group, attention=replace(g.group.attention, focused=True)))
        if g.group.id == "unit:ffmpeg" else g for g in bad.groups
    )  # fmt: skip
    assert culprit_of(replace(bad, groups=watched)) == "unit:worker"
    assert culprit_of(replace(bad, groups=bad.groups[:1])) is None


def test_a_proposal_survives_its_file(deaf_log, tmp_path):
    made = compare(read_recordings([deaf_log]), DEAF, {"contention.cpu_some_pct": 40})
    file = tmp_path / "proposal.json"
    file.write_text(json.dumps(evidence.to_json(made)))
    assert evidence.load(file) == made
    for broken in ("", "[]", "{}", '{"format": "smoothtask-proposal-1"}', "\0"):
        file.write_text(broken)
        with pytest.raises(evidence.ProposalError):
            evidence.load(file)


def test_the_command_changes_the_configuration_only_when_asked(deaf_log, tmp_path, capsys):
    config, proposal = tmp_path / "config.yaml", tmp_path / "proposal.json"
    text = "contention:\n  cpu_some_pct: 60  # high\n  group_wait: 5.0\n"
    config.write_text(text)
    words = ["tune", str(deaf_log), "--config", str(config), "--trials", "30", "--seed", "3", "--out", str(proposal)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "-  cpu_some_pct: 60  # high" in said
    assert "not what that would cause" in said
    assert "Nothing is changed yet" in said
    assert config.read_text() == text
    assert main(["tune", "--from", str(proposal), "--config", str(config), "--apply"]) == 0
    assert load_settings(config).contention.cpu_some_pct <= 50
    assert "# high" in config.read_text()
    assert [p.read_text() for p in tmp_path.glob("config.yaml.before-tune-*")] == [text]


def test_without_the_trainer_s_libraries_it_says_what_to_install(deaf_log, tmp_path, capsys, monkeypatch):
    config = tmp_path / "config.yaml"
    config.write_text("contention: \n  cpu_some_pct: 60\n  group_wait: 5.0\n")
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for words in (["tune", str(deaf_log)], ["train", "report", str(deaf_log), "--out", str(tmp_path / "out")]):
        assert main([*words, "--config", str(config)]) == 1
        assert "pip install 'smoothtask[trainer]'" in capsys.readouterr().err


def test_what_goes_wrong_is_a_sentence(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("")
    for words in (["nowhere.db"], ["--from", "nowhere.json"]):
        assert main(["tune", *words, "--config", str(config)]) == 1
        assert capsys.readouterr().err.startswith("smoothtask: tune: ")
