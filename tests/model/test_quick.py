"""What is made quickly is what its class makes."""

import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from smoothtask.model.quick import maker


@dataclass(frozen=True, slots=True)
class Point:
    """With a default of each kind."""

    x: float
    y: float = 2.0
    names: list[str] = field(default_factory=list, compare=False)


make_point = maker(Point)


def test_it_is_of_the_class_and_equal_to_what_the_class_makes() -> None:
    made = make_point(1.0, y=3.0)
    assert type(made) is Point
    assert (made, hash(made), repr(made)) == (Point(1.0, 3.0), hash(Point(1.0, 3.0)), repr(Point(1.0, 3.0)))
    assert replace(made, x=5.0) == Point(5.0, 3.0)
    assert pickle.loads(pickle.dumps(made)) == made


def test_it_is_frozen() -> None:
    made = make_point(1.0)
    with pytest.raises(FrozenInstanceError):
        made.x = 2.0  # type: ignore[misc]


def test_defaults_are_the_class_s_own() -> None:
    assert make_point(1.0).y == 2.0
    assert make_point(1.0).names is not make_point(1.0).names


def test_what_is_missing_is_an_error() -> None:
    with pytest.raises(TypeError):
        make_point()  # type: ignore[call-arg]
