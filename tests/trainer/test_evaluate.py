"""What the measures say of orders and classes that are known."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothtask_trainer import evaluate
from smoothtask_trainer.evaluate import agreement, calibrated, classes_of, confusion, margin, measured, met, ndcg
from trainer.made import table

ROWS = st.lists(
    st.tuples(st.floats(-3, 3).map(lambda x: round(x, 1)), st.integers(0, 4), st.integers(1, 5)),
    min_size=1,
    max_size=40,
)


def test_the_right_order_agrees_the_reverse_does_not_and_ties_are_half() -> None:
    data = table()
    right = data.target.astype(float)
    assert agreement(right, data, data.target).share == 1.0
    assert agreement(-right, data, data.target).share == 0.0
    assert agreement(np.zeros(len(data)), data, data.target).share == 0.5
    nobody = np.full(len(data), -1, np.int8)
    assert agreement(right, data, nobody).share is None
    assert margin(agreement(right, data, nobody), agreement(right, data, nobody)) is None


def test_only_pairs_of_one_snapshot_count() -> None:
    """A level that changes from snapshot to snapshot changes nothing."""
    data = table()
    shifted = data.target + 100.0 * data.query
    assert agreement(shifted, data, data.target).share == 1.0
    assert ndcg(shifted, data, 5) == 1.0
    assert ndcg(-shifted, data, 5) < 0.9  # type: ignore[operator]


def test_the_margin_holds_its_own_value_and_knows_how_sure_it_is() -> None:
    data, chance = table(), np.random.default_rng(1)
    good = agreement(data.target + chance.normal(0, 0.3, len(data)), data, data.target)
    same = margin(good, good)
    assert same is not None
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    poor = agreement(data.target + chance.normal(0, 3.0, len(data)), data, data.target)
    better = margin(good, poor)
    assert better is not None
    assert 0 < better.low < better.value < better.high
    assert better.blocks == len(np.unique(evaluate.blocks_of(data)))


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_no_other_cuts_put_less_weight_on_the_wrong_side(rows: list[tuple[float, int, int]]) -> None:
    scores, target, weight = (np.array(column) for column in zip(*rows, strict=True))
    cuts = calibrated(scores.astype(float), target.astype(np.int8), weight.astype(np.float32))
    assert list(cuts) == sorted(cuts)
    for border, cut in enumerate(cuts, start=1):
        above = target >= border
        if above.all() or not above.any():
            assert (scores >= cut).all() == above.all()
            continue
        wrong = weight[(scores >= cut) != above].sum()
        tried = np.unique(np.concatenate([scores, [scores.max() + 1]]))
        least = min(weight[(scores >= t) != above].sum() for t in tried)
        # Cuts that would cross are moved to where they meet; each alone is the best.
        assert wrong == least or len(set(cuts)) < len(cuts)


def test_classes_from_cuts() -> None:
    cuts = (-1.0, 0.0, 1.0, 2.0)
    assert classes_of(np.array([-9.0, -1.0, 0.5, 1.0, 9.0]), cuts).tolist() == [0, 1, 2, 3, 4]


def test_confusion_and_what_is_met() -> None:
    expected, got = np.array([0, 0, 2, 3], np.int8), np.array([0, 1, 2, 1], np.int8)
    assert confusion(expected, got)[0] == [1, 1, 0, 0, 0]
    assert met(expected, got) == {"exact": 0.5, "balanced": 0.5, "within_one": 0.75}
    assert met(expected[:0], got[:0]) == {}


def test_the_rules_are_measured_beside_on_the_same_pairs() -> None:
    data = table(wish=4)
    found = measured(data.target.astype(float), data, (0.5, 1.5, 2.5, 3.5))
    labels = found["labels"]
    assert labels["agreement"] == 1.0
    assert labels["rules_agreement"] == 0.0
    assert labels["margin"] == 1.0
    assert found["targets"]["exact"] == 1.0
