"""Answers of the engine come through the socket as they were, and strange ones are said."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.control import protocol
from smoothtask.model.command import Reply
from smoothtask.model.detail import GroupDetail, RuleUses
from smoothtask_tui.told import read_detail, read_rules
from tui.test_group_screen import TOLD
from tui.test_rulelist import USES


def over_the_socket(value: GroupDetail | RuleUses) -> Reply:
    """As a client of a daemon gets it."""
    reply = protocol.decode_answer(protocol.encode_reply(1, Reply(True, "", asdict(value)))).reply
    assert reply is not None
    return reply


def test_details_and_rules_come_back_as_they_were() -> None:
    """Classes go as numbers, tuples as lists; here and remote look alike."""
    assert read_detail(over_the_socket(TOLD)) == TOLD == read_detail(Reply(True, "", asdict(TOLD)))
    assert read_rules(over_the_socket(USES)) == USES


@pytest.mark.parametrize("read", [read_detail, read_rules])
def test_a_refusal_is_its_sentence(read: Any) -> None:
    assert read(Reply(False, "no group is called x")) == "no group is called x"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from(["group", "is_whole", "mono_s", "past", "rules", "since", "what_if"]), json_values)
)
def test_any_answer_is_understood_or_said(data: dict[str, Any]) -> None:
    """An older or newer daemon may say anything."""
    assert isinstance(read_detail(Reply(True, "", data)), GroupDetail | str)
    assert isinstance(read_rules(Reply(True, "", data)), RuleUses | str)
