"""A bundle is whole and right, or not there: with real models of CatBoost."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from smoothtask.config import bundle
from smoothtask.config.bundle import Manifest, Trees
from smoothtask.policy import features
from smoothtask_trainer.export import PARITY, ExportError, Told, export, run_onnx, run_trees
from trainer.bundles import rows, tiny_bundle

TOLD = Told((-1.0, 0.0, 1.0, 2.0), {}, {}, 0.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "one"
    tiny_bundle(folder)
    return folder


def test_manifest_and_files_agree_and_both_models_give_the_self_tests_scores(made: Path) -> None:
    manifest = Manifest.model_validate_json((made / bundle.MANIFEST).read_bytes())
    assert manifest.schema_hash == features.schema_hash()
    assert [c.name for c in manifest.features] == list(features.NAMES)
    assert {p.name for p in made.iterdir()} == {bundle.MANIFEST, bundle.ONNX, bundle.TREES}
    tests = np.array(manifest.self_test.values(), np.float32)
    expected = np.array(manifest.self_test.scores)
    trees = Trees.model_validate_json((made / bundle.TREES).read_bytes())
    assert np.abs(run_trees(trees, tests) - expected).max() <= 1e-12
    assert np.abs(run_onnx((made / bundle.ONNX).read_bytes(), tests) - expected).max() <= PARITY
    assert np.isnan(tests).all(axis=1).sum() == 1
    assert np.ptp(expected) > 1.0


def test_no_parameter_of_the_training_is_left_in_the_files(made: Path) -> None:
    """CatBoost writes folders and settings into what it saves."""
    model = onnx.load(made / bundle.ONNX)
    assert {p.key: p.value for p in model.metadata_props} == {bundle.METADATA_HASH: features.schema_hash()}
    assert len(model.graph.output[0].type.tensor_type.shape.dim) == 2
    assert json.loads((made / bundle.TREES).read_bytes()).keys() == Trees.model_fields.keys()


def test_what_was_never_known_in_training_has_no_range(made: Path) -> None:
    manifest = Manifest.model_validate_json((made / bundle.MANIFEST).read_bytes())
    seen = {c.name: (c.seen_lo, c.seen_hi) for c in manifest.features}
    assert seen["m_since_input"] == (None, None)
    assert seen["rule_class"] == (1.0, 1.0)


def test_what_cannot_be_exported_leaves_nothing(tmp_path: Path) -> None:
    from catboost import CatBoostRegressor

    matrix, ought, _ = rows(10)
    model = CatBoostRegressor(iterations=3, depth=3, grow_policy="Depthwise", verbose=False, allow_writing_files=False)
    model.fit(matrix, ought)
    with pytest.raises(ExportError, match="cannot export"):
        export(model, tmp_path / "models" / "bad", matrix, matrix, TOLD)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_bundle_replaces_nothing(made: Path) -> None:
    before = (made / bundle.MANIFEST).read_bytes()
    with pytest.raises(ExportError, match="is there already"):
        tiny_bundle(made)
    assert (made / bundle.MANIFEST).read_bytes() == before
