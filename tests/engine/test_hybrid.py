"""The engine and a real model: what it says of groups, why, and with which cuts."""

from pathlib import Path

import numpy as np
import pytest

from scenery import CONTENDED, HOG, group, known, metrics, system
from smoothtask.config.bundle import CURRENT
from smoothtask.config.paths import find_paths
from smoothtask.config.settings import Ranker as RankerSettings
from smoothtask.config.settings import Settings
from smoothtask.engine.hybrid import Seen, expected, shares_of, start
from smoothtask.model.classes import PriorityClass
from smoothtask.model.person import NOBODY_KNOWN, Attention
from smoothtask.policy.features import features
from smoothtask.ranker.checks import load
from smoothtask.ranker.reading import read_bundle
from smoothtask.ranker.shelf import Shelf

GROUPS = (
    group("proc:1-1", **HOG),
    group("proc:2-1", known("ffmpeg", type="batch", target=PriorityClass.BACKGROUND), metrics=metrics(1.5, 0.5)),
    group("proc:3-1", attention=Attention(focused=True, visible=True)),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("catboost", "onnx"):
        pytest.importorskip(name, reason="needs the trainer's libraries")
    from trainer.bundles import tiny_bundle

    folder = tmp_path_factory.mktemp("engine") / "bundle"
    tiny_bundle(folder)
    return folder


@pytest.fixture
def seen(bundle: Path) -> Seen:
    return Seen(load(read_bundle(bundle), expected(), "json"))


def test_each_group_has_the_score_of_its_features(seen):
    opinions = seen.look(GROUPS, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED)
    rows = features(GROUPS, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED)
    assert opinions.scores == dict(zip([g.id for g in GROUPS], seen.model.trees.scores(rows).tolist(), strict=True))
    assert opinions.model == seen.model.id


def test_reasons_name_features_and_an_explanation_adds_up(seen):
    opinions = seen.look(GROUPS, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED)
    why = opinions.why("proc:1-1")
    assert 1 <= len(why) <= 3
    assert "it runs all the time" in why
    told = seen.explanation("proc:1-1")
    assert told["score"] == pytest.approx(opinions.scores["proc:1-1"], abs=1e-4)
    named = {f["name"]: f for f in told["features"]}
    assert named["hog"]["value"] == 1
    assert told["usual"] + sum(f["adds"] for f in told["features"]) == pytest.approx(told["score"], abs=0.2)
    assert seen.explanation("proc:9-9") is None


def test_a_flag_is_worded_by_whether_it_holds(seen):
    opinions = seen.look(GROUPS, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED)
    words = {w for g in GROUPS for w in opinions.why(g.id)}
    assert any(w.startswith(("not that", "unknown whether")) for w in words)


def test_the_link_has_one_name():
    assert find_paths(state_dir="/x").model_in_use.name == CURRENT


def test_percentiles_of_the_reference_make_other_cuts(bundle, seen):
    settings = Settings(ranker=RankerSettings(classes="percentiles", percentiles=(0.0, 25.0, 50.0, 100.0)))
    scale = seen.model.manifest.scale
    other = Seen(seen.model, shares_of(settings))
    assert other.cuts == (scale.percentiles[0], scale.percentiles[25], scale.percentiles[50], scale.percentiles[100])
    assert seen.cuts == scale.cuts
    assert shares_of(Settings()) is None


def test_without_a_model_it_says_nothing_and_with_one_it_does(tmp_path, bundle):
    shelf = Shelf(tmp_path / "models")
    hybrid = start(Settings(), shelf.folder, "boot", lambda *_: None, lambda: None)
    look = (GROUPS, system(30.0, 5.0), NOBODY_KNOWN, CONTENDED)
    assert hybrid.opinions(*look) is None
    assert hybrid.explanation("proc:1-1") is None
    hybrid.ranker.model = load(read_bundle(bundle), expected(), "json")
    opinions = hybrid.opinions(*look)
    assert opinions is not None
    assert hybrid.explanation("proc:1-1") is not None
    assert hybrid.opinions((), *look[1:]) is None
    hybrid.ranker.model = None
    assert hybrid.opinions(*look) is None
    assert np.isfinite(list(opinions.scores.values())).all()
