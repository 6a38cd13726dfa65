"""How the parts are put together, and taken apart."""

import pytest

from smoothtask.daemon.build import _Open


def test_one_that_cannot_be_closed_keeps_none_from_it() -> None:
    closed: list[str] = []

    def fails(name: str) -> None:
        closed.append(name)
        raise OSError(f"{name} is stuck")

    opened = _Open([lambda: closed.append("first"), lambda: fails("second"), lambda: fails("third")])
    with pytest.raises(OSError, match="third is stuck"):
        opened.close()
    assert closed == ["third", "second", "first"]
    opened.close()
