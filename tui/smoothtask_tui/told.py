"""Answers of the engine as values: an older or newer daemon may say something else."""

from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from smoothtask.model.command import Reply
from smoothtask.model.detail import GroupDetail, RuleUses

T = TypeVar("T")


@cache
def _details() -> TypeAdapter[GroupDetail]:
    return TypeAdapter(GroupDetail)


@cache
def _rules() -> TypeAdapter[RuleUses]:
    return TypeAdapter(RuleUses)


def read_detail(reply: Reply) -> GroupDetail | str:
    """What `detail` answered, or why that cannot be shown."""
    return _read(_details(), reply)


def read_rules(reply: Reply) -> RuleUses | str:
    """What `rules` answered, or why that cannot be shown."""
    return _read(_rules(), reply)


def _read(adapter: TypeAdapter[T], reply: Reply) -> T | str:
    if not reply.ok:
        return reply.message
    try:
        return adapter.validate_python(reply.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"the engine's answer is not understood: {'.'.join(map(str, first['loc']))}: {first['msg']}"
