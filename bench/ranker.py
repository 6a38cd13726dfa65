"""Both evaluators side by side, in fresh processes: CPU for 200 groups, memory, and how far they are from CatBoost.

    .venv/bin/python bench/ranker.py [--model DIR] [--trees 300]

Without a model one of so many trees is trained on made-up rows: how fast trees are does not depend on what they know.
The target for CPU is for the default evaluator; for onnxruntime it is said how many of these trees would meet it.
The daemon's memory is that of a real one that observes, after ten looks, once by the rules alone and once with each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from harness import daemon, finish, log, verdict
from smoothtask.config.bundle import MANIFEST, Manifest
from smoothtask.config.settings import Ranker as RankerSettings
from smoothtask.engine.hybrid import expected
from smoothtask.policy.features import FEATURES
from smoothtask.ranker.reading import read_bundle
from smoothtask.ranker.shelf import Shelf

ROWS, ROUNDS = 200, 400
BUDGET_MS, RSS_MIB, PARITY = 1.0, 110.0, 1e-5
MIB = 1 << 20
KINDS = ("json", "onnx")
DEFAULT = RankerSettings().evaluator


def main() -> None:
    """Measure, compare with the targets, leave with 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a bundle that the trainer wrote")
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_alone(Path(options.child[0]), options.child[1])))
        return
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as scratch:
        folder, rows, wanted = options.model, _rows(2000), None
        if folder is None:
            folder = Path(scratch, "bundle")
            wanted = _train(folder, options.trees, rows)
        log(f"model: {len(Manifest.model_validate_json((folder / MANIFEST).read_bytes()).features)} features")
        results = []
        for kind in KINDS:
            found = _child(folder, kind)
            log(
                f"{kind:5} {found['cpu_ms']:.3f} ms of CPU for {ROWS} groups, import {found['import_mib']:.1f} MiB, "
                f"model {found['model_mib']:.1f} MiB, loaded in {found['load_ms']:.0f} ms, {found['threads']} threads"
            )
            if kind == DEFAULT:
                results.append(verdict(f"{kind}: CPU for {ROWS} groups", found["cpu_ms"], BUDGET_MS, " ms"))
            else:
                log(f"{kind}: {found['trees'] * BUDGET_MS / found['cpu_ms']:.0f} trees take {BUDGET_MS:g} ms")
            if wanted is not None:
                apart = float(np.abs(np.array(_scores(folder, kind, rows)) - wanted).max())
                results.append(verdict(f"{kind}: from CatBoost", apart, PARITY))
        results += [
            verdict(f"memory of the daemon's main process, {kind}", _daemon_mib(folder, kind), RSS_MIB, " MiB")
            for kind in ("off", *KINDS)
        ]
    finish(results)


def _rows(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Plausible values, a tenth of them not known."""
    chance = np.random.default_rng(1)
    lo, hi = (np.array([getattr(f, side) for f in FEATURES]) for side in ("lo", "hi"))
    rows = (lo + (hi - lo) * chance.random((count, len(FEATURES)))).astype(np.float32)
    rows[chance.random(rows.shape) < 0.1] = np.nan
    return rows


def _train(folder: Path, trees: int, rows: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, Any]:
    """A bundle of so many trees; CatBoost's own scores of *rows*."""
    from catboost import CatBoostRanker, Pool

    from smoothtask_trainer.export import Told, export

    known = np.nan_to_num(rows)
    target = np.clip(known[:, 0] + known[:, 20] * known[:, 25] / 5 + known[:, 40], -2, 2)
    model = CatBoostRanker(
        loss_function="QueryRMSE", iterations=trees, depth=5, random_seed=1, thread_count=1, verbose=False,
        allow_writing_files=False,
    )  # fmt: skip
    model.fit(Pool(rows, target, group_id=np.repeat(np.arange(len(rows) // 20), 20)))
    export(model, folder, rows, rows[:500], Told((-1.0, -0.3, 0.3, 1.0), {}, {}, time.time()))
    return np.asarray(model.predict(rows))


def _child(folder: Path, kind: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(folder), kind], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _alone(folder: Path, kind: Any) -> dict[str, float]:
    """In a process of its own: what importing, loading and scoring cost."""
    from smoothtask.daemon.process import tidy_memory
    from smoothtask.ranker.checks import load

    files, process = read_bundle(folder, trusted=frozenset()), psutil.Process()
    before = process.memory_info().rss
    if kind == "onnx":
        import_library()
    tidy_memory()
    imported = process.memory_info().rss
    started = time.monotonic()
    model = load(files, expected(), kind)
    loaded_ms = (time.monotonic() - started) * 1000
    del files
    tidy_memory()
    resident = process.memory_info().rss
    rows = _rows(ROWS)
    model.evaluator.scores(rows)
    needed = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        model.evaluator.scores(rows)
        needed.append((time.thread_time() - began) * 1000)
    return {
        "cpu_ms": float(np.median(needed)), "import_mib": (imported - before) / MIB,
        "model_mib": (resident - imported) / MIB, "load_ms": loaded_ms, "threads": process.num_threads(),
        "trees": len(model.trees.leaves),
    }  # fmt: skip


def import_library() -> None:
    """As `OnnxTrees` does it."""
    import os

    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: F401


def _scores(folder: Path, kind: Any, rows: Any) -> list[float]:
    from smoothtask.ranker.checks import load

    model = load(read_bundle(folder, trusted=frozenset()), expected(), kind)
    return [float(s) for start in range(0, len(rows), ROWS) for s in model.evaluator.scores(rows[start : start + ROWS])]


def _daemon_mib(folder: Path, kind: str) -> float:
    """Of a daemon that observes, ten looks after the model came into use."""
    from smoothtask.control.client import newest_frame

    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as root:
        config, state = Path(root, "config.yaml"), Path(root, "state")
        config.write_text(f"ranker: {{evaluator: {kind}}}\n")
        state.mkdir(0o700)
        Shelf(state / "models").install(read_bundle(folder, trusted=frozenset()))
        options = ("--observe", "--config", str(config), "--state-dir", str(state))
        with daemon(*options) as process:
            words = process.cmdline()
            socket = Path(words[words.index("--runtime-dir") + 1], "control.sock")
            first = None
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                frame = newest_frame(socket)
                ready = kind == "off" or f"({kind})" in frame.sources.get("model", "")
                first = first or (frame.seq if ready else None)
                if first is not None and frame.seq >= first + 10:
                    log(f"daemon with {kind}: {frame.sources.get('model')}, {len(frame.groups)} groups")
                    return process.memory_info().rss / MIB
                time.sleep(0.5)
        raise TimeoutError(f"the daemon does not use the model: {frame.sources.get('model')}")


if __name__ == "__main__":
    main()
