"""What training is worth and what it takes: recordings that it has not seen, 100,000 rows, memory, and ONNX's scores.

    .venv/bin/python bench/train.py [--minutes 4] [--seeds 11 22 33] [--keep FOLDER]
    .venv/bin/python bench/train.py --recordings A.db B.db C.db

Without `--recordings` it makes three of `smoothtask train record --labels`, which run real programs and take all CPUs.
Each recording is once the one that a model has not seen, trained on all others; agreement is that with the labels of
the scenes' author, in pairs of one snapshot, and what the rules alone get on the same pairs. For the *time* alone the
rows of the recordings are repeated until there are 100,000, which is said there.
"""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness import finish, log, verdict
from smoothtask.engine.hybrid import Seen, expected
from smoothtask.policy.decide import Orders, PolicyState, decide
from smoothtask.policy.parameters import Hysteresis, PolicyParameters
from smoothtask.ranker.checks import load as load_model
from smoothtask.ranker.reading import read_bundle
from smoothtask.store.frames import read_frames
from smoothtask.store.migrate import up_to_date
from smoothtask_trainer import evaluate, learn
from smoothtask_trainer.evaluate import Agreement, Margin, agreement, margin
from smoothtask_trainer.export import PARITY, Told, export, onnx_of, run_onnx
from smoothtask_trainer.learn import Shape
from smoothtask_trainer.prepare import prepare
from smoothtask_trainer.replay import Look, Rows, closed_in
from smoothtask_trainer.splits import Part
from smoothtask_trainer.table import Data, load

if TYPE_CHECKING:
    from catboost import CatBoostRanker

ROWS, LIMIT_S = 100_000, 120.0
THREADS = 2


def record(folder: Path, seeds: list[int], minutes: float) -> list[Path]:
    """One recording a seed."""
    made = []
    for seed in seeds:
        out = folder / f"{seed}.db"
        words = ["train", "record", "--minutes", str(minutes), "--seed", str(seed), "--out", str(out), "--labels"]
        subprocess.run([sys.executable, "-m", "smoothtask", *words, "--label-every", "5s"], check=True)
        made.append(out)
    return made


def table(folder: Path, trained: list[Path], tested: list[Path]) -> Data:
    """The rows of both, the latter for the test."""
    out = folder / "table.parquet"
    prepare(trained, out, PolicyParameters(), folder, tested=tested)
    return load(out)


def held_out(folder: Path, recordings: list[Path], loss: str) -> tuple[Agreement, Agreement]:
    """Each recording once tested on, by a model of the others: what the models and the rules agree with."""
    ours, rules = [], []
    for tested in recordings:
        data = table(folder, [r for r in recordings if r != tested], [tested])
        train, validate, test = (data.of(part) for part in Part)
        model = learn.fit(train, validate, Shape(loss, threads=THREADS), lambda _text: None)
        mine, theirs = (agreement(s, test, test.said) for s in (learn.score(model, test.matrix), test.teacher))
        said(f"{tested.name}, trained on the other {len(recordings) - 1} ({len(train)} rows)", mine, theirs)
        log(f"    classes as they should be: {classes(model, data):.1%}; without anchors {unanchored(data, loss):.1%}")
        ours.append(mine)
        rules.append(theirs)
    return joined(ours), joined(rules)


def decided(folder: Path, recordings: list[Path], loss: str) -> tuple[Agreement, Agreement]:
    """The same for what hybrid mode wants: rules that are certain stand, others are moved by one class at most."""
    ours, rules = [], []
    for tested in recordings:
        data = table(folder, [r for r in recordings if r != tested], [tested])
        train, validate, _ = (data.of(part) for part in Part)
        model = learn.fit(train, validate, Shape(loss, threads=THREADS), lambda _text: None)
        seen = data.where(data.part != Part.TEST.value)
        cuts = evaluate.calibrated(learn.score(model, seen.matrix), seen.target, learn.balanced(seen))
        out = folder / f"model-{loss}-{tested.stem}"
        export(model, out, train.matrix, validate.matrix, Told(cuts, {}, {}, 0.0))
        look = Seen(load_model(read_bundle(out), expected(), "json")).look
        ours.append(wanted(folder, tested, look))
        rules.append(wanted(folder, tested, None))
    return joined(ours), joined(rules)


def wanted(folder: Path, recording: Path, look: Look | None) -> Agreement:
    """`agreement` of the classes that are wanted, without anybody's orders, with a model's word or without."""
    right, total, at = list[float](), list[float](), list[int]()
    rows, state, parameters = Rows(), PolicyState(), PolicyParameters(hysteresis=Hysteresis(1, 0.0))
    for one in read_frames(up_to_date(recording, folder)):
        frame, groups = one.frame, rows.aged(one)
        opinions = None if look is None else look(groups, frame.system, frame.person, frame.contention)
        decisions, state = decide(
            groups,
            frame.contention,
            Orders(),
            state,
            frame.mono_s,
            parameters,
            closed_in(frame),
            frame.person,
            opinions,
        )
        classes = {d.group: d.wanted for d in decisions}
        meant = [(x.target, classes[x.group]) for x in one.said if x.target is not None and x.group in classes]
        pairs = [(a, b) for target, a in meant for other, b in meant if target > other]
        if pairs:
            right.append(sum(1.0 if a > b else 0.5 * (a == b) for a, b in pairs))
            total.append(len(pairs))
            at.append(int(frame.time // evaluate.BLOCK_S))
    return Agreement(np.array(right), np.array(total), np.array(at, np.int64))


def strangers(folder: Path, recordings: list[Path], loss: str) -> tuple[Agreement, Agreement]:
    """The same with one program more left out of the training: how its pairs with the others come out."""
    ours, rules = [], []
    for tested in recordings:
        data = table(folder, [r for r in recordings if r != tested], [tested])
        test = data.of(Part.TEST)
        for program in np.unique(test.label[test.said >= 0].astype(str)):
            train, validate = (data.where((data.part == p.value) & (data.label != program)) for p in list(Part)[:2])
            model = learn.fit(train, validate, Shape(loss, threads=THREADS), lambda _text: None)
            ours.append(with_others(learn.score(model, test.matrix), test, program))
            rules.append(with_others(test.teacher, test, program))
    return joined(ours), joined(rules)


def with_others(scores: "np.ndarray", data: Data, program: str) -> Agreement:
    """`agreement` of the pairs between *program* and something else."""
    right, total, at = list[float](), list[float](), list[int]()
    blocks = evaluate.blocks_of(data)
    for rows in evaluate.queries(data):
        known = rows[data.said[rows] >= 0]
        is_it = data.label[known] == program
        counted = (data.said[known][:, None] > data.said[known][None, :]) & (is_it[:, None] != is_it[None, :])
        if counted.any():
            difference = scores[known][:, None].astype(float) - scores[known][None, :]
            right.append(float((counted * (np.sign(difference) + 1) / 2).sum()))
            total.append(float(counted.sum()))
            at.append(blocks[rows[0]])
    return Agreement(np.array(right), np.array(total), np.array(at, np.int64))


def classes(model: "CatBoostRanker", data: Data) -> float:
    """Share of the test's rows that the cuts put where they belong."""
    seen, test = data.where(data.part != Part.TEST.value), data.of(Part.TEST)
    cuts = evaluate.calibrated(learn.score(model, seen.matrix), seen.target, learn.balanced(seen))
    return float((evaluate.classes_of(learn.score(model, test.matrix), cuts) == test.target).mean())


def unanchored(data: Data, loss: str) -> float:
    """The same for a model whose training had no row of which nothing is known."""
    train, validate, _ = (data.of(part) for part in Part)
    shape = Shape(loss, threads=THREADS, anchors=False)
    return classes(learn.fit(train, validate, shape, lambda _text: None), data)


def said(what: str, ours: Agreement, rules: Agreement) -> Margin:
    """One line that compares both."""
    better = margin(ours, rules)
    assert better is not None
    log(
        f"  {what}: {int(ours.total.sum())} pairs, model {ours.share:.1%}, rules {rules.share:.1%}, margin "
        f"{100 * better.value:+.1f} points (95 %: {100 * better.low:+.1f} to {100 * better.high:+.1f})"
    )
    return better


def joined(parts: list[Agreement]) -> Agreement:
    """Several as one: their blocks stay different ones."""
    return Agreement(
        np.concatenate([p.right for p in parts]),
        np.concatenate([p.total for p in parts]),
        np.concatenate([p.blocks + 1_000_000_000 * n for n, p in enumerate(parts)]),
    )


def repeated(data: Data, rows: int) -> Data:
    """*data* over and over, as queries of their own, until there are *rows*."""
    times = -(-rows // len(data))
    copies = Data(*(np.concatenate([getattr(data, name)] * times) for name in Data.__slots__))
    number = np.repeat(np.arange(times), len(data)) * (int(data.query.max()) + 1)
    copies = dataclasses.replace(copies, query=copies.query + number)
    return copies.where(np.arange(rows))


HIGHEST = """
import re, sys
from smoothtask.cli import main
assert main(sys.argv[1:]) == 0
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def reading_mib(folder: Path, recordings: list[Path]) -> float:
    """Peak memory of `train data` over *recordings*. By VmHWM: ru_maxrss of a child begins with its parent's."""
    words = ["train", "data", *map(str, recordings), "--out", str(folder / "big.parquet")]
    places = ["--state-dir", str(folder / "state"), "--runtime-dir", str(folder / "run")]
    done = subprocess.run(
        [sys.executable, "-c", HIGHEST, *words, *places], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    """Agreement, time, parity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, nargs="+")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 22, 33])
    parser.add_argument("--keep", type=Path, help="where new recordings stay")
    parser.add_argument("--losses", nargs="+", default=["QueryRMSE"], choices=learn.LOSSES)
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="smoothtask-bench-") as name:
        folder = Path(name)
        recordings = options.recordings or record(options.keep or folder, options.seeds, options.minutes)
        for loss in options.losses:
            log(f"{loss}: agreement with labels of recordings that were not trained on")
            better = said("all", *held_out(folder, recordings, loss))
            results.append(verdict("rules' agreement less the model's, upper end", -100 * better.low, 0.0, " points"))
            said("classes in hybrid mode", *decided(folder, recordings, loss))
            said("programs that were not trained on either", *strangers(folder, recordings, loss))
        data = table(folder, recordings, [])
        many = repeated(data, ROWS)
        train, validate = many.where(many.part != "validate"), many.of(Part.VALIDATE)
        log(f"{len(many)} rows: {len(data)} recorded ones, repeated for this measurement of time")
        begun = time.perf_counter()
        model = learn.fit(train, validate, Shape(threads=THREADS), lambda _text: None)
        spent = time.perf_counter() - begun
        log(f"  {model.tree_count_} trees kept; {learn.PATIENCE} without a better validation end it")
        results.append(verdict(f"training on {len(many)} rows with {THREADS} CPUs", spent, LIMIT_S, " s"))
        begun = time.perf_counter()
        model = learn.fit(train, train, Shape(threads=THREADS), lambda _text: None)
        spent = time.perf_counter() - begun
        results.append(verdict(f"the same, all {model.tree_count_} trees", spent, LIMIT_S, " s"))
        few, often = (reading_mib(folder, recordings[:1] * times) for times in (4, 40))
        log(f"train data: {few:.0f} MiB for a recording four times, {often:.0f} MiB for ten times as much")
        results.append(verdict("memory for ten times as much", often / few, 1.2, " ×"))
        worst = np.abs(run_onnx(onnx_of(model, folder), many.matrix) - learn.score(model, many.matrix)).max()
        results.append(verdict("ONNX less CatBoost's own prediction", float(worst), PARITY))
    finish(results)


if __name__ == "__main__":
    main()
