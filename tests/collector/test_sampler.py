"""What is read between two ticks."""

import os

import pytest

from smoothtask.collector.sampler import Sampler
from smoothtask.collector.tasks import open_tasks
from smoothtask.kernel.procfs import ProcfsTasks
from smoothtask.kernel.system import read_system
from smoothtask.model.tasks import ProcKey


def test_a_peek_reads_those_it_is_about_and_disturbs_no_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = open_tasks("procfs")
    sampler = Sampler(source, lambda temperatures: read_system(temperatures=temperatures), lambda: (), lambda _: None)
    try:
        sample = sampler.sample(1_000_000_000, 1_000_000_000)
        rows = sample.tasks.processes
        start = int(rows["start_ticks"][rows["pid"] == os.getpid()][0])
        with monkeypatch.context() as m:
            m.setattr(ProcfsTasks, "read", lambda *_: pytest.fail("it reads everybody"))
            table = sampler.peek(1_500_000_000, frozenset({ProcKey(os.getpid(), start), ProcKey(os.getppid(), 1)}))
        assert table.processes["pid"].tolist() == [os.getpid()], "the other is somebody else by now"
        assert os.getpid() in table.threads["tid"]
        assert sampler.sample(3_000_000_000, 3_000_000_000).elapsed_s == 2.0
    finally:
        source.close()
