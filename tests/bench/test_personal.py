"""The learning curve on recordings: lessons follow after three labels and move nobody else; retraining does not."""

from pathlib import Path
from types import ModuleType

import pytest

from smoothtask.model.classes import PriorityClass
from trainer.recordings import busy, calm, recorded

WANTED = PriorityClass.INTERACTIVE


@pytest.fixture
def personal(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("catboost", "onnx", "pyarrow"):
        pytest.importorskip(name, reason="needs the trainer's libraries")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    return __import__("personal")


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """One to label and learn from, and one of later."""
    stretches = [tick for n in range(12) for tick in (*busy(40, 20.0 + 5 * n), *calm(15))]
    for name in ("learn", "later"):
        recorded(tmp_path / f"{name}.db", stretches if name == "learn" else stretches[:110])
    return tmp_path / "learn.db", tmp_path / "later.db"


def test_lessons_follow_after_three_labels_and_retraining_alone_does_not(personal, logs, tmp_path):
    learn, later = logs
    said, held = personal._moments([learn], "ffmpeg", WANTED), personal._moments([later], "ffmpeg", WANTED)
    assert len(said) >= 10
    assert len(held) >= 20
    curve = {n: personal._by_lessons(said[:n], WANTED, held) for n in (0, 1, 3, 5, 10)}
    assert {n: result.follow for n, result in curve.items()} == {0: 0.0, 1: 0.0, 3: 1.0, 5: 1.0, 10: 1.0}
    assert {result.others for result in curve.values()} == {0.0}
    untouched = personal._retrained(tmp_path / "none", [learn], [])
    model = personal._retrained(tmp_path / "five", [learn], said[:5], WANTED)
    alone = personal._by_model(model, untouched, WANTED, held)
    assert alone.follow < curve[5].follow


def test_an_application_of_another_name_or_another_situation_is_not_counted(personal, logs):
    assert personal._moments([logs[0]], "nobody", WANTED) == []
    (situation,) = {m.situation for m in personal._moments([logs[0]], "ffmpeg", WANTED)}
    assert str(situation) == "unattended, somebody waits"
