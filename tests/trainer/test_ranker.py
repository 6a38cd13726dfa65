"""From a table to a bundle and back to a person: what is said, what is doubted, and when nothing is trained."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smoothtask.bench.document import to_markdown
from smoothtask.config import bundle
from smoothtask.config.bundle import Manifest
from smoothtask.policy.features import NAMES
from smoothtask_trainer import classifier, ranker
from smoothtask_trainer.export import PARITY, run_onnx
from smoothtask_trainer.learn import Shape
from smoothtask_trainer.learnt import read_learnt
from smoothtask_trainer.ranker import NotEnoughError, headline, train
from smoothtask_trainer.report import _learnt_blocks
from smoothtask_trainer.splits import Part
from trainer.made import table

SMALL = Shape(trees=25, depth=3, rate=0.3, threads=1)


def test_a_trained_model_is_a_bundle_with_a_story(tmp_path: Path) -> None:
    said: list[str] = []
    made = train(table(wish=1), {"files": ["a.db"]}, tmp_path / "m", SMALL, 1e9, trials=2, tell=said.append)
    assert made.doubts == ()
    assert made.metrics["test"]["labels"]["agreement"] > 0.95
    assert "search: shape 2 of 2" in said
    manifest = Manifest.model_validate_json((tmp_path / "m" / bundle.MANIFEST).read_bytes())
    assert manifest == made.manifest
    assert manifest.data == {"files": ["a.db"]}
    assert 0.9 < manifest.metrics["test"]["teacher"]["within_one"] <= 1.0
    learnt = read_learnt(tmp_path / "m")
    assert learnt.headline == headline(made.metrics)
    assert learnt.importance[0][0] in NAMES
    assert dict(learnt.metrics)["test.queries"] == "40"
    assert sum(map(sum, learnt.confusion)) == int(dict(learnt.metrics)["test.rows"])
    text = to_markdown("", _learnt_blocks(learnt))
    assert "rules, model →" in text
    assert learnt.importance[0][0].replace("_", "\\_") in text


def test_changed_decisions_are_shown_with_what_moved_them(tmp_path: Path) -> None:
    train(table(wish=4), {}, tmp_path / "m", SMALL, 0.0)
    examples = read_learnt(tmp_path / "m").examples
    assert examples
    assert all(rules != model and "times;" in why for _, rules, model, why in examples)


def test_a_model_that_loses_to_the_rules_is_doubted(tmp_path: Path) -> None:
    """A person whose words agree with the rules, and a teacher whose classes in training are upside down."""
    data = table(wish=0)
    data = replace(data, said=np.where(data.said >= 0, data.teacher, data.said).astype(np.int8))
    upside_down = np.where(data.part == Part.TEST.value, data.teacher, 4 - data.teacher).astype(np.int8)
    made = train(
        replace(data, target=upside_down, source=np.full(len(data), "teacher", object)), {}, tmp_path / "m", SMALL, 0.0
    )
    assert len(made.doubts) == 2
    assert "the rules 100.0%" in made.doubts[0]
    assert made.manifest.metrics["doubts"] == list(made.doubts)
    assert "It is not used" in to_markdown("", _learnt_blocks(read_learnt(tmp_path / "m")))


def test_what_is_missing_is_said_with_its_numbers(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughError) as error:
        train(table(20), {}, tmp_path / "m", SMALL, 0.0)
    said = str(error.value)
    assert "12 snapshots to train, 60 are the least" in said
    assert "4 snapshots to test, 10 are the least" in said
    assert "smoothtask train record" in said
    assert not (tmp_path / "m").exists()
    data = table()
    with pytest.raises(NotEnoughError, match="all that is to be trained on is of one class"):
        train(replace(data, target=np.full(len(data), 2, np.int8)), {}, tmp_path / "m", SMALL, 0.0)


def test_a_headline_says_when_nobody_labelled(tmp_path: Path) -> None:
    made = train(table(), {}, tmp_path / "m", SMALL, 0.0)
    assert "it imitates the rules" in headline(made.metrics)


def test_the_classifier_tells_by_behaviour_and_exports_without_maps(tmp_path: Path) -> None:
    """Hogs are batch, says a rule; it has to find that out from what they do."""
    data = table()
    matrix = data.matrix.copy()
    hog = matrix[:, NAMES.index("hog")] == 1
    matrix[:, NAMES.index("known")] = np.arange(len(data)) % 5 != 0
    matrix[:, NAMES.index("process_batch")] = hog
    matrix[:, NAMES.index("process_cli")] = ~hog
    data = replace(data, matrix=matrix)
    made = classifier.train(data, tmp_path / "c", SMALL, 0.0)
    assert made["metrics"]["exact"] > 0.95
    assert not any(f.startswith(("rule_", "kind_", "tag_", "process_")) for f in made["features"])
    assert {s["like"] for s in made["strangers"]} <= {"batch", "cli"}
    onnx_data = (tmp_path / "c" / classifier.ONNX).read_bytes()
    rows = data.matrix[:, list(classifier.SEEN)]
    chances = run_onnx(onnx_data, rows, classifier.PROBABILITIES)
    assert chances.shape == (len(data), 2)
    assert np.abs(chances.sum(axis=1) - 1).max() < PARITY
    head = json.loads((tmp_path / "c" / classifier.MANIFEST).read_text())
    assert head["classes"] == ["batch", "cli"]
    assert read_learnt(tmp_path / "c").headline.startswith("process types")
    assert "Programs that no rule knows behave like:" in classifier.lines(made)


def test_a_classifier_of_one_kind_is_none(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughError, match="rows of two types"):
        classifier.train(table(), tmp_path / "c", SMALL, 0.0)


def test_the_numbers_of_least_are_reached_by_what_is_advised() -> None:
    """Ten minutes of scenes give some 250 queries: more than is asked for."""
    assert sum(ranker.LEAST.values()) < 250
