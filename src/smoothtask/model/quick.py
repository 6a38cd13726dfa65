"""Frozen values that are made for every group at every tick, at a third of the cost."""

from collections.abc import Callable
from copy import copy
from dataclasses import fields, make_dataclass
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def maker(cls: Callable[P, T]) -> Callable[P, T]:
    """What makes a *cls*, a frozen dataclass with slots, as calling it would, but for `__post_init__`.

    A frozen class sets each field by way of `object.__setattr__`, which takes longer than all else about it. Here the
    fields are set while the object belongs to a twin of the same layout that is not frozen; it is *cls*'s from then on.
    """

    def freeze(self: object) -> None:
        self.__class__ = cast("Any", cls)

    listed = [(f.name, f.type, copy(f)) for f in fields(cast("Any", cls))]
    twin = make_dataclass("_Twin", listed, slots=True, eq=False, repr=False, namespace={"__post_init__": freeze})
    return cast("Callable[P, T]", twin)
