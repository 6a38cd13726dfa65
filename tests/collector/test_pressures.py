"""Pressure of applications that have a cgroup of their own, from files as the kernel writes them."""

from dataclasses import replace

import pytest

from smoothtask.collector.pressures import AT_MOST, UNWATCHED, GroupPressures, own_cgroups
from smoothtask.kernel.psi import read_cgroup_pressure
from smoothtask.model.frame import GroupPressure
from smoothtask.model.group import UnitRef
from smoothtask.model.system import Pressure
from tui.fakes import group

LINE = "{} avg10=0.00 avg60=0.00 avg300=0.00 total={}\n"


@pytest.fixture
def tree(tmp_path):
    """Writes totals of a cgroup."""

    def write(path, **totals):
        folder = tmp_path / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, total in totals.items():
            (folder / f"{name}.pressure").write_text(LINE.format("some", total) + LINE.format("full", 0))

    write.root, write.folder = str(tmp_path), tmp_path
    return write


def app(name, *cgroups, cpu=0.5):
    made = group(name, cpu=cpu).group
    return replace(made, units=tuple(UnitRef(1000, c.rpartition("/")[2], f"/{c}") for c in cgroups))


def test_shares_are_what_the_totals_gained_and_the_worst_of_several_cgroups(tree):
    pressures = GroupPressures(lambda path: read_cgroup_pressure(path, tree.root))
    one, both, none = app("a", "app/a.scope"), app("b", "app/b.scope", "app/c.scope"), group("shell").group
    tree("app/a.scope", cpu=1000, io=0, memory=0)
    tree("app/b.scope", cpu=0, io=0, memory=0)
    tree("app/c.scope", cpu=0, io=0)
    assert pressures.look((one, both, none), 10.0) == {}
    tree("app/a.scope", cpu=501_000, io=0, memory=2_000_000)
    tree("app/b.scope", cpu=100_000, io=0, memory=0)
    tree("app/c.scope", cpu=0, io=300_000)
    found = pressures.look((one, both, none), 12.0)
    assert found == {"a": GroupPressure(25.0, 0.0, 100.0), "b": GroupPressure(5.0, 15.0, 0.0)}
    assert found["a"].worst == ("mem", 100.0)


def test_a_look_too_soon_tells_what_was_known(tree):
    pressures = GroupPressures(lambda path: read_cgroup_pressure(path, tree.root))
    tree("a", cpu=0, io=0, memory=0)
    pressures.look((app("a", "a"),), 1.0)
    tree("a", cpu=500_000, io=0, memory=0)
    known = pressures.look((app("a", "a"),), 2.0)
    tree("a", cpu=900_000, io=0, memory=0)
    assert pressures.look((app("a", "a"),), 2.01) == known


def placed(name, *cgroups, parent=None):
    return replace(group(name, cpu=0.5).group, id=name, parent=parent, cgroups=cgroups)


def test_a_cgroup_is_its_own_where_nobody_else_is_in_it_or_below_it():
    alone, inside = placed("alone", "/box/1"), placed("inside", "/box/2")
    below, root, spread = placed("below", "/box/2/x"), placed("root", "/"), placed("spread", "/a", "/b")
    whole, part = placed("whole", "/c"), placed("whole/part", "/c", parent="whole")
    one, other = placed("one", "/d"), placed("other", "/d")
    unit = app("unit", "app/a.scope")
    groups = (alone, inside, below, root, spread, whole, part, one, other, unit)
    assert own_cgroups(groups) == {
        "alone": ("/box/1",), "below": ("/box/2/x",), "whole": ("/c",), "unit": ("/app/a.scope",),
    }  # fmt: skip


def test_pressure_of_a_container_that_is_no_unit_and_of_none_that_everybody_has_left(tree):
    pressures = GroupPressures(lambda path: read_cgroup_pressure(path, tree.root))
    box = placed("box", "/box/1")
    tree("box/1", cpu=0, io=0, memory=0)
    (tree.folder / "box/1/cgroup.events").write_text("populated 1\nfrozen 0\n")
    pressures.look((box,), 1.0)
    tree("box/1", cpu=500_000, io=0, memory=0)
    assert pressures.look((box,), 2.0) == {"box": GroupPressure(50.0, 0.0, 0.0)}
    (tree.folder / "box/1/cgroup.events").write_text("populated 0\nfrozen 0\n")
    assert pressures.look((box,), 3.0) == {"box": GroupPressure()}
    assert GroupPressure().worst is None


def test_fewer_are_looked_at_when_nobody_watches():
    read = []

    def count(path):
        read.append(path)
        return Pressure()

    groups = [app(f"g{i}", f"c{i}", cpu=i / 100) for i in range(3 * AT_MOST)]
    GroupPressures(count).look(groups, 1.0, False)
    assert read == [f"/c{i}" for i in reversed(range(3 * AT_MOST - UNWATCHED, 3 * AT_MOST))]


def test_a_cgroup_that_is_gone_or_without_accounting_has_no_pressure(tree):
    pressures = GroupPressures(lambda path: read_cgroup_pressure(path, tree.root))
    for now in (1.0, 2.0):
        found = pressures.look((app("gone", "not/there"),), now)
    assert found == {"gone": GroupPressure(None, None, None)}
    assert found["gone"].worst is None


def test_only_the_busiest_are_read():
    read = []

    def count(path):
        read.append(path)
        return read_cgroup_pressure("/not/there", "/nowhere")

    GroupPressures(count).look([app(f"g{i}", f"c{i}", cpu=i / 100) for i in range(3 * AT_MOST)], 1.0)
    assert len(read) == AT_MOST
    assert f"/c{3 * AT_MOST - 1}" in read
    assert "/c0" not in read
