"""Real CatBoost on small tables: each loss learns, obeys whom it should, and the same seed gives the same."""

from dataclasses import replace

import numpy as np
import pytest

from smoothtask.policy.features import NAMES
from smoothtask_trainer import learn
from smoothtask_trainer.dataset import LABEL
from smoothtask_trainer.evaluate import agreement, queries
from smoothtask_trainer.learn import LOSSES, PERSON_SHARE, Shape, anchored, balanced, fit, folds, pairs, score
from smoothtask_trainer.splits import EMBARGO_S, Part
from trainer.made import table

SMALL = Shape(trees=30, depth=3, rate=0.3, threads=1)


def quiet(_text: str) -> None:
    """Nobody looks on."""


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_learns_the_order_and_keeps_it_where_it_was_not_trained(loss: str) -> None:
    data = table()
    model = fit(data.of(Part.TRAIN), data.of(Part.VALIDATE), Shape(loss, 30, 3, 0.3, threads=1), quiet)
    test = data.of(Part.TEST)
    share = agreement(score(model, test.matrix), test, test.target).share
    assert share is not None
    assert share > 0.97


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_hears_a_person(loss: str) -> None:
    """Hogs are first, somebody says now and then; the teacher puts them last. They rise, though not to the top."""
    heights = []
    for data in (table(), table(wish=4)):
        model = fit(data.of(Part.TRAIN), data.of(Part.VALIDATE), Shape(loss, 30, 3, 0.3, threads=1), quiet)
        test = data.of(Part.TEST)
        scores, hogs = score(model, test.matrix), test.matrix[:, NAMES.index("hog")] == 1
        heights.append((scores[hogs].mean() - scores[test.teacher == 2].mean()) / scores.std())
    assert heights[1] > heights[0] + 0.2


def test_what_people_said_is_at_most_so_much_of_the_whole() -> None:
    data = table(wish=4)
    weight = balanced(data)
    theirs = weight[data.source == LABEL].sum()
    assert theirs == pytest.approx(PERSON_SHARE * weight.sum(), rel=1e-4)
    assert (balanced(table()) == 1).all()


def test_each_query_has_one_anchor_and_stays_together() -> None:
    data = table(50)
    more, weight = anchored(data, balanced(data))
    assert len(more) == len(data) + 50 == len(weight)
    unknown = np.isnan(more.matrix).all(axis=1)
    assert (more.target[unknown] == 2).all()
    assert [unknown[rows].sum() for rows in queries(more)] == [1] * 50


def test_a_loss_of_pairs_needs_two_that_differ_and_calm_days_are_left_out_of_its_folds() -> None:
    data = table()
    calm = replace(data, target=np.full_like(data.target, 2))
    assert all(learn.teaches(data, loss) for loss in LOSSES)
    assert not learn.teaches(calm, "PairLogit")
    assert learn.teaches(calm, "YetiRank")
    half = data.time_s < np.median(data.time_s)
    calm_later = replace(data, target=np.where(half, data.target, 2).astype(data.target.dtype))
    learn.validated(calm_later, Shape("PairLogit", 5, 2, 0.3, threads=1))  # CatBoost fails without a pair


def test_pairs_are_those_that_ought_to_differ() -> None:
    data = table(50)
    found, weight = pairs(data, balanced(data))
    assert (data.target[found[:, 0]] > data.target[found[:, 1]]).all()
    assert (data.query[found[:, 0]] == data.query[found[:, 1]]).all()
    assert (
        len(weight)
        == len(found)
        == sum((data.target[r][:, None] > data.target[r][None, :]).sum() for r in queries(data))
    )


def test_folds_never_learn_from_what_comes_later() -> None:
    made = list(folds(table()))
    assert len(made) == 3
    for earlier, later in made:
        assert earlier.time_s.max() < later.time_s.min() - EMBARGO_S
        assert not set(earlier.stretch) & set(later.stretch)


def test_the_same_seed_learns_the_same_and_the_search_finds_the_same() -> None:
    data = table(100)
    train, validate = data.of(Part.TRAIN), data.of(Part.VALIDATE)
    one, other = (score(fit(train, validate, SMALL, quiet), data.matrix) for _ in range(2))
    assert one.tobytes() == other.tobytes()
    found = [learn.search(train, Shape(trees=8, threads=1), 3, quiet) for _ in range(2)]
    assert found[0] == found[1]
    assert 0.9 < found[0][1] <= 1.0


def test_progress_is_said() -> None:
    data, said = table(50), list[str]()
    fit(data.of(Part.TRAIN), data.of(Part.VALIDATE), SMALL, said.append)
    assert "tree 10 of 30 at most, validation" in said[0]
