"""RAPL's counters in a made-up tree."""

from pathlib import Path

import pytest

from smoothtask.kernel.powercap import EnergyCounter, joules_between, read_energy


def zone(root: Path, name: str, what: str, microjoules: str, most: str = "262143328850") -> None:
    """One zone of powercap."""
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True)
    for file, text in (("name", what), ("energy_uj", microjoules), ("max_energy_range_uj", most)):
        (folder / file).write_text(text + "\n")


def test_packages_count_and_what_is_part_of_them_does_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "1000")
    zone(tmp_path, "intel-rapl:0:0", "core", "700")
    zone(tmp_path, "intel-rapl:1", "package-1", "2000")
    zone(tmp_path, "intel-rapl:2", "psys", "9000")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", "1000")
    assert [(c.zone, c.microjoules) for c in read_energy(tmp_path)] == [("intel-rapl:0", 1000), ("intel-rapl:1", 2000)]


def test_a_machine_without_rapl_has_none(tmp_path: Path) -> None:
    assert read_energy(tmp_path) == ()
    assert joules_between((), ()) is None


def test_a_counter_that_says_nonsense_is_left_out(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "nan")
    assert read_energy(tmp_path) == ()


@pytest.mark.parametrize(
    ("before", "now", "joules"),
    [
        ([1_000_000], [3_500_000], 2.5),
        ([1_000_000, 5], [3_000_000, 500_005], 2.5),
        ([9_000_000], [500_000], 1.500001),  # past its end, at 9,999,999 + 1
        ([7], [7], 0.0),
    ],
)
def test_joules_are_the_sum_of_what_each_package_used(before: list[int], now: list[int], joules: float) -> None:
    old, new = (tuple(EnergyCounter(f"z{i}", uj, 10_000_000) for i, uj in enumerate(row)) for row in (before, now))
    assert joules_between(old, new) == pytest.approx(joules)


def test_packages_that_come_or_go_give_no_figure() -> None:
    one, other = EnergyCounter("z0", 1, 10), EnergyCounter("z1", 1, 10)
    assert joules_between((one,), (one, other)) is None
    assert joules_between((one,), ()) is None
