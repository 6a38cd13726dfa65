"""The light evaluator scores what CatBoost scores, and its explanations add up."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.config.bundle import TREES, Manifest, Tree, Trees
from smoothtask.ranker.oblivious import compiled


def trained(tmp_path: Path, *, with_nan: bool, mode: str, width: int = 9) -> tuple[Trees, np.ndarray, np.ndarray]:
    """(trees as the exporter writes them, rows, CatBoost's own scores)."""
    from catboost import CatBoostRanker, Pool

    chance = np.random.default_rng(5)
    rows = chance.normal(size=(3000, width)).astype(np.float32)
    if with_nan:
        rows[chance.random(rows.shape) < 0.05] = np.nan
    target = np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1]) * np.nan_to_num(rows[:, 2])
    model = CatBoostRanker(
        loss_function="QueryRMSE", iterations=60, depth=5, random_seed=3, thread_count=1, verbose=False,
        allow_writing_files=False, nan_mode=mode,
    )  # fmt: skip
    model.fit(Pool(rows, target, group_id=np.repeat(np.arange(150), 20)))
    model.save_model(str(tmp_path / "raw.json"), format="json")
    found = json.loads((tmp_path / "raw.json").read_bytes())
    trees = tuple(
        Tree(
            features=tuple(s["float_feature_index"] for s in t["splits"] or ()),
            borders=tuple(float(np.float32(s["border"])) for s in t["splits"] or ()),
            leaves=tuple(map(float, t["leaf_values"])),
            weights=tuple(map(float, t["leaf_weights"])),
        )
        for t in found["oblivious_trees"]
    )
    floats = found["features_info"]["float_features"]
    above = tuple(f["feature_index"] for f in floats if f["nan_value_treatment"] == "AsTrue")
    scale, bias = found["scale_and_bias"]
    borders = np.array([b for f in floats for b in f["borders"]], np.float32)
    extreme = chance.choice([*borders[:200], np.nan, np.inf, -np.inf, 0.0, 1e30, -1e30], size=(500, width))
    rows = np.concatenate([rows, extreme.astype(np.float32)])
    made = Trees(width=width, scale=float(scale), bias=float(np.ravel(bias)[0]), nan_above=above, trees=trees)
    return made, rows, np.asarray(model.predict(rows))


@pytest.mark.parametrize(("with_nan", "mode"), [(True, "Min"), (True, "Max"), (False, "Min")])
def test_the_scores_are_catboosts_own_to_the_last_bit(tmp_path, with_nan, mode):
    """Borders, NaN and infinity too."""
    trees, rows, expected = trained(tmp_path, with_nan=with_nan, mode=mode)
    assert bool(trees.nan_above) == (mode == "Max")
    assert np.array_equal(compiled(trees).scores(rows), expected)


def test_explanations_add_up_to_the_score_and_name_what_matters(tmp_path):
    trees, rows, expected = trained(tmp_path, with_nan=True, mode="Min")
    model = compiled(trees)
    total = np.zeros(model.width)
    for n in range(0, len(rows), 50):
        base, added = model.contributions(rows[n])
        assert base + added.sum() == pytest.approx(expected[n], abs=1e-9)
        total += np.abs(added)
    assert set(np.argsort(-total)[:3]) == {0, 1, 2}  # what the target was made of
    bases = {round(model.contributions(rows[n])[0], 12) for n in range(20)}
    assert len(bases) == 1  # before anything is known, everybody is alike


def test_a_tree_that_is_less_deep_scores_beside_a_deep_one():
    deep = Tree(features=(0, 1), borders=(0.5, 0.5), leaves=(1.0, 2.0, 3.0, 4.0), weights=(1.0, 1.0, 1.0, 1.0))
    flat = Tree(features=(1,), borders=(0.0,), leaves=(10.0, 20.0), weights=(3.0, 1.0))
    leaf = Tree(features=(), borders=(), leaves=(100.0,), weights=(1.0,))
    model = compiled(Trees(width=2, scale=2.0, bias=0.5, trees=(deep, flat, leaf)))
    rows = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [np.nan, np.nan]], np.float32)
    assert model.scores(rows).tolist() == [222.5, 224.5, 246.5, 248.5, 222.5]
    base, added = model.contributions(rows[3])
    assert base == 2 * (2.5 + 12.5 + 100) + 0.5
    assert added.tolist() == [2 * 0.5, 2 * (1.0 + 7.5)]


def test_rows_of_another_width_are_an_error(made: tuple[Path, Manifest]):
    model = compiled(Trees.model_validate_json((made[0] / TREES).read_bytes()))
    with pytest.raises(ValueError, match="expected rows of"):
        model.scores(np.zeros((3, model.width + 1), np.float32))
    assert model.scores(np.zeros((0, model.width), np.float32)).shape == (0,)


@given(st.lists(st.floats(width=32), min_size=4, max_size=4))
def test_whatever_is_known_of_a_group_its_score_is_a_number(values: list[float]):
    tree = Tree(features=(0, 3), borders=(0.5, -1.0), leaves=(1.0, 2.0, 3.0, 4.0), weights=(1.0, 0.0, 0.0, 0.0))
    model = compiled(Trees(width=4, scale=1.0, bias=0.0, nan_above=(3,), trees=(tree,)))
    (score,) = model.scores(np.array([values], np.float32))
    base, added = model.contributions(np.array(values, np.float32))
    assert 1.0 <= score <= 4.0
    assert base + added.sum() == pytest.approx(score)
