"""Our BPF objects against their sources."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smoothtask.kernel import libbpf

FOLDER = Path(libbpf.__file__).parent / "bpf"
SOURCES = sorted(FOLDER.glob("*.bpf.c"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_each_object_was_built_from_this_source(source: Path) -> None:
    """Editing the C without rebuilding fails here, with or without a compiler."""
    text = b"".join(p.read_bytes() for p in [*sorted(FOLDER.glob("*.h")), source])
    recorded = source.with_name(source.name + ".sha256").read_text().strip()
    assert hashlib.sha256(text).hexdigest() == recorded, "run make bpf"


@pytest.mark.skipif(not (shutil.which("clang") and shutil.which("llvm-strip")), reason="no clang")
def test_a_rebuild_gives_the_same_objects(tmp_path: Path) -> None:
    if b"clang version 14." not in subprocess.check_output(["clang", "--version"]):
        pytest.skip("the committed objects are clang 14's")
    for path in (FOLDER / "Makefile", *FOLDER.glob("*.h"), *SOURCES):
        shutil.copy(path, tmp_path)
    subprocess.run(["make", "-C", tmp_path], check=True, capture_output=True)
    for source in SOURCES:
        built = source.with_suffix(".o").name
        assert (tmp_path / built).read_bytes() == (FOLDER / built).read_bytes(), built


REFUSED = """
import os
from smoothtask.kernel.libbpf import BpfObject, BpfUnavailable
before = len(os.listdir("/proc/self/fd"))
try:
    BpfObject("tasks")
except BpfUnavailable as error:
    print(len(os.listdir("/proc/self/fd")) - before, error)
"""


@pytest.mark.root
def test_a_refusal_is_said_in_words_and_leaves_no_descriptor() -> None:
    """Root without capabilities, as in many containers."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and util-linux's setpriv")
    bare = ["setpriv", "--bounding-set", "-all", sys.executable, "-c", REFUSED]
    told = subprocess.run(bare, capture_output=True, text=True, check=True).stdout
    if "no BTF" in told or "pid namespace" in told:
        pytest.skip(told)
    assert told == "0 the kernel refuses the BPF program: Operation not permitted (lockdown or a missing capability)\n"
