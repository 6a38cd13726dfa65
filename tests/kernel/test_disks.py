"""kernel.disks on a /sys of files."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from smoothtask.kernel.disks import Disk, parse_scheduler, read_disks, weighed


def add(root: Path, name: str, number: str, scheduler: str | None, device: bool = True) -> None:
    """One block device."""
    folder = root / "block" / name
    (folder / "queue").mkdir(parents=True)
    (folder / "dev").write_text(f"{number}\n")
    if scheduler is not None:
        (folder / "queue" / "scheduler").write_text(f"{scheduler}\n")
    if device:
        (folder / "device").mkdir()


def test_disks_are_found_and_maps_are_not(tmp_path: Path) -> None:
    """dm, loop and zram are over others, or memory."""
    add(tmp_path, "sda", "8:0", "mq-deadline kyber [bfq] none")
    add(tmp_path, "nvme0n1", "259:0", "[none] mq-deadline")
    add(tmp_path, "vda", "254:0", None)
    add(tmp_path, "dm-0", "253:0", None, device=False)
    add(tmp_path, "loop0", "7:0", "[none]", device=False)
    assert read_disks(str(tmp_path)) == (
        Disk("nvme0n1", "259:0", "none"),
        Disk("sda", "8:0", "bfq"),
        Disk("vda", "254:0", ""),
    )


def test_no_block_devices(tmp_path: Path) -> None:
    """As in a container."""
    assert read_disks(str(tmp_path)) == ()


@given(st.lists(st.sampled_from(["none", "mq-deadline", "kyber", "bfq"]), min_size=1, unique=True), st.data())
def test_the_scheduler_in_brackets(names: list[str], data: st.DataObject) -> None:
    """Wherever it stands."""
    chosen = data.draw(st.sampled_from(names))
    assert parse_scheduler(" ".join(f"[{n}]" if n == chosen else n for n in names)) == chosen


@given(st.text())
def test_any_text_is_some_scheduler_or_none(text: str) -> None:
    """Never an error; `none` alone is not said to be in use."""
    assert "[" not in text or parse_scheduler(text) in text
    assert parse_scheduler(text.replace("[", "")) == ""


def test_where_weights_count() -> None:
    """BFQ, or io.cost that is on for that disk."""
    disks = (Disk("sda", "8:0", "bfq"), Disk("sdb", "8:16", "none"), Disk("sdc", "8:32", "mq-deadline"))
    assert weighed(disks, None) == ("sda",)
    assert weighed(disks, "8:16 enable=1 ctrl=auto\n8:32 enable=0 ctrl=auto\n") == ("sda", "sdb")
    assert weighed((), "8:16 enable=1") == ()
