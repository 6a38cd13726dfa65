"""The features of a snapshot: the same bits live and recorded, nothing of what was decided, and no surprises."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenery import CONTENDED, QUIET, classification, group, known, system
from smoothtask.model.classes import PriorityClass
from smoothtask.model.decision import Stage
from smoothtask.model.frame import Frame, Mark
from smoothtask.model.group import AppGroup, Behaviour, GroupMetrics, ProcessType
from smoothtask.model.person import NOBODY_KNOWN, Attention, PersonMetrics
from smoothtask.policy import features
from smoothtask.policy.features import COUNT, FEATURES, NAMES, of_frame
from smoothtask.policy.features import features as rows_of
from smoothtask.store.frames import read_frames
from smoothtask.store.log import SnapshotLog
from store import frames as make

HASH = "1875a647da4347b329b6acfb75a3dc7cd833dd20287ca1a019c41bd59a1bd2b7"
PERSON = PersonMetrics(True, 1.2345678, xruns=1, missing_cycles=2, dsp_load=0.123456789)


def some_group(chance: random.Random, n: int) -> AppGroup:
    """Values of all kinds, with all the digits that a float has."""
    maybe = lambda: None if chance.random() < 0.3 else chance.uniform(0, 1e4)  # noqa: E731 - as short as it reads
    flag = lambda: chance.random() < 0.5  # noqa: E731
    rule = known(
        f"app{n % 7}",
        type=chance.choice(["browser", "batch", "nobody-knows"]),
        tags=frozenset(chance.sample(["gui", "audio", "batch", "unheard"], 2)),
        process_type=chance.choice(list(ProcessType)),
        target=chance.choice([None, *PriorityClass]),
        certain=flag(),
        after_s=chance.choice([0.0, 50.0]),
    )
    outer = f"proc:{n // 3}-1"
    return group(
        outer if n % 3 == 0 else f"{outer}/part{n}",
        rule if flag() else classification(),
        chance.choice(list(Behaviour)),
        metrics=GroupMetrics(
            n + 1, n + 2, chance.random(), chance.random(), *(chance.uniform(0, 1e6) for _ in "abcd"), n
        ),
        behaviour_s=chance.uniform(0, 100),
        started_s=chance.uniform(0, 1e5),
        tty=chance.choice([None, "pts/3"]),
        uid=chance.choice([0, 1000]),
        starts_others=flag(),
        attention=Attention(flag(), maybe(), flag(), flag(), flag(), flag(), flag(), maybe(), maybe()),
    )


def some_frame(seed: int) -> Frame:
    chance = random.Random(seed)
    groups = sorted((some_group(chance, n) for n in range(30)), key=lambda g: (g.parent is not None, g.id))
    machine = replace(
        make.system(3), cpu_pct=tuple(chance.uniform(0, 100) for _ in range(3)), load=(chance.uniform(0, 9), 1.0, 1.0)
    )
    shown = [make.shown(g) for g in groups]
    return make.frame(1, *shown, contention=CONTENDED, system=machine, person=PERSON)


@pytest.mark.parametrize("anonymise", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_a_recorded_snapshot_gives_the_bits_that_the_engine_had(tmp_path: Path, seed: int, anonymise: bool) -> None:
    live = some_frame(seed)
    path = tmp_path / "log.db"
    log = SnapshotLog(path, salt_path=tmp_path / "salt", anonymise=anonymise, on_problem=pytest.fail)
    log.offer(live)
    log.close()
    (read,) = (r.frame for r in read_frames(path))

    # Hashed ids put parts elsewhere in their order; who is who, all of these numbers together say.
    def bits(frame: Frame) -> list[bytes]:
        return sorted(row.tobytes() for row in of_frame(frame))

    assert bits(read) == bits(live)
    assert np.isnan(of_frame(live)).any()


def test_the_order_of_groups_changes_no_bit() -> None:
    groups = [g.group for g in some_frame(7).groups]
    expected = rows_of(groups, make.system(), PERSON, QUIET)
    order = random.Random(1).sample(range(len(groups)), len(groups))
    shuffled = rows_of([groups[n] for n in order], make.system(), PERSON, QUIET)
    assert shuffled.tobytes() == expected[order].tobytes()


def test_nothing_of_what_was_decided_or_said_is_in_it() -> None:
    """The same groups under other decisions, marks, mechanisms and scores: the same features."""
    before = some_frame(3)
    after = replace(before, groups=tuple(
        replace(
            make.shown(g.group, PriorityClass.IDLE, decided_by=Stage.PIN, restraint=True, since_s=99.0),
            marks=frozenset(Mark), mechanism="nice 19", effect="nice", score=0.5,
        )
        for g in before.groups
    ))  # fmt: skip
    assert of_frame(after).tobytes() == of_frame(before).tobytes()


def test_who_an_application_is_is_in_no_feature() -> None:
    """Names, keys, paths, users' numbers and pids may be anything."""
    one = group("proc:10-1000", known("firefox", type="browser"), root_pid=10)
    other = group(
        "unit:x.scope", known("name:zz", label="ZZ", type="browser", evidence="e"), root_pid=77, unit="x.scope"
    )
    matrix = rows_of([one], system(), NOBODY_KNOWN, QUIET), rows_of([other], system(), NOBODY_KNOWN, QUIET)
    assert matrix[0].tobytes() == matrix[1].tobytes()


def value(name: str, of: AppGroup, *others: AppGroup, person: PersonMetrics = NOBODY_KNOWN, **machine: Any) -> float:
    matrix = rows_of([of, *others], replace(system(), **machine), person, QUIET)
    return float(matrix[0, NAMES.index(name)])


def test_what_nothing_tells_of_is_not_a_no() -> None:
    here = group(attention=Attention(visible=True))
    there = group("proc:2-2", attention=Attention(focused=True, visible=True))
    assert np.isnan(value("focused", group()))
    assert value("focused", here, there) == 0.0
    assert np.isnan(value("playing", group()))
    assert value("playing", group(), person=PersonMetrics(xruns=0)) == 0.0
    assert np.isnan(value("m_swap_used", group()))
    assert np.isnan(value("m_person_active", group()))
    assert np.isnan(value("rule_class", group()))


def test_shares_are_of_the_machine() -> None:
    busy = group(metrics=GroupMetrics(1, 1, 1.0, 0.0, 0, 0, 0, 0, 1 << 30))
    assert value("cpu", busy) == 0.5
    assert value("cpu", busy, cpu_pct=(1.0,) * 8) == 0.125
    assert value("rss", busy) == 0.125
    assert value("demand", busy, group("proc:2-2", metrics=busy.metrics)) == 0.5


def test_kinds_tags_and_strangers() -> None:
    game = group(c=known("x", type="emulator", tags=frozenset({"gui", "game", "unheard"})))
    assert (value("kind_game", game), value("tag_game", game), value("tag_gui", game)) == (1.0, 1.0, 1.0)
    assert sum(value(n, group(c=known("x", type="new-type"))) for n in NAMES if n.startswith(("kind_", "tag_"))) == 0.0


def test_every_row_is_within_what_its_feature_says() -> None:
    for seed in range(5):
        matrix = of_frame(some_frame(seed))
        assert matrix.dtype == np.float32
        lo, hi = (np.array([getattr(f, end) for f in FEATURES]) for end in ("lo", "hi"))
        assert (np.isnan(matrix) | ((matrix >= lo) & (matrix <= hi))).all()
        never = [f.missing == "never" for f in FEATURES]
        assert not np.isnan(matrix[:, never]).any()


def test_nobody_gives_no_rows_and_odd_machines_no_error() -> None:
    assert rows_of([], system(), NOBODY_KNOWN, QUIET).shape == (0, COUNT)
    bare = replace(system(), cpu_pct=(), mem_total_bytes=0, cpu_some_pct=None)
    assert np.isfinite(rows_of([group()], bare, NOBODY_KNOWN, QUIET)[0, NAMES.index("cpu")])


def test_names_differ_and_the_schema_is_this_one() -> None:
    """Whoever changes what a feature is raises `VERSION`, and writes the new hash here: models are trained anew."""
    assert len(set(NAMES)) == COUNT
    assert features.schema_hash() == HASH
