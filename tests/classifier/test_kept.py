"""What is kept of the rules is what the files say, and is believed only when nobody else can have written it."""

import os
import pickle
from pathlib import Path

import pytest

from smoothtask.classifier import apart
from smoothtask.classifier.apart import Reading, see
from smoothtask.classifier.kept import DIGEST_BYTES, keep, recall
from smoothtask.classifier.layers import RuleFiles
from smoothtask.classifier.reading import read


@pytest.fixture
def files(tmp_path: Path) -> RuleFiles:
    """Two layers with a rule each."""
    folders = {layer: tmp_path / layer for layer in ("vendor", "distro", "user", "runtime")}
    for folder in folders.values():
        folder.mkdir()
    types = "types: {game: {class: INTERACTIVE, description: plays}}\n"
    rule = "applications:\n  - {id: chess, type: game, match: [{name: [chess, checkers]}, {environ: {GAME: '*'}}]}\n"
    (folders["vendor"] / "a.yaml").write_text(types + rule)
    (folders["user"] / "b.yaml").write_text("applications:\n  - {id: go, type: game, match: [{cmdline: '^go '}]}\n")
    return RuleFiles(**folders, ananicy=None, homes=False)


@pytest.fixture
def kept(tmp_path: Path, files: RuleFiles) -> Path:
    """Written by the first reading."""
    path = tmp_path / "kept"
    Reading(files, path).result()
    return path


def test_what_is_kept_is_what_the_files_say(files: RuleFiles, kept: Path) -> None:
    assert recall(kept, see(files)) == read(files)
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_second_reading_needs_no_child(files: RuleFiles, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "Child", None)
    assert [r.id for r in Reading(files, kept).result().rules.rules] == ["chess", "go"]


def test_a_file_that_changes_is_read_again(files: RuleFiles, kept: Path) -> None:
    (files.user / "c.yaml").write_text("applications:\n  - {id: shogi, type: game, match: [{name: shogi}]}\n")
    assert recall(kept, see(files)) is None
    assert "shogi" in [r.id for r in Reading(files, kept).result().rules.rules]
    assert recall(kept, see(files)) is not None


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.where,)

    where = ""


def test_nothing_that_others_could_write_is_loaded(files: RuleFiles, kept: Path, tmp_path: Path) -> None:
    """Not even looked into: to load it may do anything."""
    bomb = _Bomb()
    bomb.where = str(tmp_path / "boom")
    keep(kept, see(files), pickle.dumps(bomb))
    kept.chmod(0o620)
    assert recall(kept, see(files)) is None
    kept.chmod(0o602)
    assert recall(kept, see(files)) is None
    kept.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(kept)
    assert recall(link, see(files)) is None
    if os.geteuid() == 0:
        os.chown(kept, 65534, 65534)
        assert recall(kept, see(files)) is None
    assert not Path(bomb.where).exists()


@pytest.mark.parametrize("at", [0, DIGEST_BYTES - 1, DIGEST_BYTES, DIGEST_BYTES + 40, -1])
def test_a_damaged_file_is_read_anew(files: RuleFiles, kept: Path, at: int) -> None:
    data = bytearray(kept.read_bytes())
    data[at] ^= 1
    kept.write_bytes(data)
    assert recall(kept, see(files)) is None
    Reading(files, kept).result()
    assert recall(kept, see(files)) == read(files)


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 5000])
def test_what_is_no_such_file_is_nothing(files: RuleFiles, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd"
    path.write_bytes(content)
    assert recall(path, see(files)) is None
    assert recall(tmp_path / "absent", see(files)) is None
    os.mkfifo(tmp_path / "pipe")
    assert recall(tmp_path / "pipe", see(files)) is None


def test_without_a_place_the_rules_are_read_all_the_same(files: RuleFiles, tmp_path: Path) -> None:
    assert len(Reading(files, tmp_path / "nowhere" / "kept").result().rules.rules) == 2
