"""Which source is used, and that the sentence says why."""

import os

import pytest

from smoothtask.collector import tasks
from smoothtask.collector.tasks import BpfUnavailable, open_tasks


def refuse() -> None:
    raise BpfUnavailable("this kernel has no BTF")


def test_procfs_when_asked_for() -> None:
    source, why = open_tasks("procfs")
    assert (source.name, why) == ("procfs", "procfs (as configured)")
    assert os.getpid() in source.read(1).processes["pid"]
    source.close()


def test_what_bpf_refuses_procfs_does_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BpfTasks", refuse)
    source, why = open_tasks()
    assert source.name == "procfs"
    assert "this kernel has no BTF" in why
    source.close()


def test_bpf_alone_is_an_error_when_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BpfTasks", refuse)
    with pytest.raises(BpfUnavailable, match="no BTF"):
        open_tasks("bpf")
