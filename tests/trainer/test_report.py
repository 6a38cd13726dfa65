"""The report: what it tells, and that nothing in a recording becomes markup."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from scenery import classification
from smoothtask.bench.document import Code, Heading, Paragraph, Points, Table, to_html, to_markdown
from smoothtask.cli import main
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import Behaviour
from smoothtask_trainer.learnt import LearntError, read_learnt
from smoothtask_trainer.report import build, gather, spells
from trainer.recordings import EDITOR, busy, calm, group, recorded

pytest.importorskip("matplotlib")

TORN = '{"metrics": {}, "confusion": {"classes": ["A"], "counts": []}}'
HOSTILE = "<script>alert(1)</script>$\\frac{`|**x** ]]>&amp;\x1b[31m"


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in {"src", "href", "xlink:href", "onload", "onclick"} and v]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "log.db"
    hog = group("unit:evil", classification(f"exe:/{HOSTILE}", label=HOSTILE), 1.8, 0.2, Behaviour.HOG)
    evil = [(50.0, [group("unit:vim", EDITOR, 0.1, 0.1, Behaviour.STEADY), hog])] * 20
    recorded(path, [*calm(20), *busy(30), *calm(20), *evil], labels={"unit:ffmpeg": PriorityClass.IDLE})
    return path


def test_the_page_tells_what_was_recorded(log):
    data, frames = gather([log])
    assert data.snapshots == len(frames)
    assert data.labels == {("IDLE", "BACKGROUND"): 1}
    assert data.culprits["FFmpeg"] > 10
    page = Page(to_html("title", build(data, frames)))
    text = " ".join(page.text)
    assert "0 of 1 labels are what was decided" in text
    assert "svg" in page.tags
    longest = spells(frames)
    assert [round(s.seconds) for s in longest] == [29, 19]
    assert longest[0].culprit == "FFmpeg"


def test_no_name_becomes_markup(log):
    data, frames = gather([log])
    html = to_html(HOSTILE, build(data, frames))
    page = Page(html)
    assert not page.tags & {"script", "iframe", "object", "img", "link", "a", "form"}
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)  # within a drawing
    assert "alert(1)" in " ".join(page.text)
    assert "\x1b" not in html
    for drawing in re.findall(r"(?s)<svg.*?</svg>", html):
        root = ET.fromstring(drawing)
        assert not [e for e in root.iter() if e.tag.endswith("script")]


def test_markdown_keeps_text_as_text():
    blocks = [Heading(HOSTILE), Paragraph(HOSTILE), Points([HOSTILE]), Table(["a", HOSTILE], [["b", "x|y\nz"]])]
    text = to_markdown("t", [*blocks, Code("```\nrun\n````")])
    assert "\\<script\\>" in text
    assert "<script" not in text.replace("\\<script", "")
    table = [line for line in text.splitlines() if line.startswith("| b")]
    assert len(table) == 1
    assert len(re.findall(r"(?<!\\)\|", table[0])) == 3
    assert "`````\n```\nrun\n````\n`````" in text


def test_what_the_trainer_left_is_shown_with_shap(tmp_path):
    catboost = pytest.importorskip("catboost")
    chance = np.random.default_rng(1)
    x = chance.normal(size=(400, 3)).astype(np.float32)
    model = catboost.CatBoost({"iterations": 20, "depth": 3, "verbose": False, "allow_writing_files": False})
    model.fit(x, 3 * x[:, 1] + 0.1 * x[:, 0])
    model.save_model(str(tmp_path / "model.cbm"))
    np.savez(tmp_path / "rows.npz", x=x)
    example = {"label": HOSTILE, "rules": "NORMAL", "model": "IDLE", "because": "win_focused −0.5"}
    told = {"headline": "YetiRank", "metrics": {"ndcg": {"10": 0.9876543}, "n": 3}, "features": ["a", "b", "c"]}
    (tmp_path / "training.json").write_text(json.dumps({**told, "examples": [example]}))
    learnt = read_learnt(tmp_path)
    assert learnt.metrics == (("ndcg.10", "0.9877"), ("n", "3"))
    assert learnt.importance[0][0] == "b"
    assert learnt.importance[0][1] > 5 * learnt.importance[1][1]
    assert learnt.examples[0][0] == HOSTILE


def test_without_a_model_the_rest_is_shown(tmp_path):
    (tmp_path / "training.json").write_text('{"metrics": {"a": 1.0}}')
    assert read_learnt(tmp_path).importance == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"metrics": {}, "examples": [1]}',
        '{"metrics": {}, "examples": 3}',
        '{"metrics": {}, "confusion": {"classes": ["A"], "counts": []}}',
    ],
)
def test_a_broken_folder_is_a_sentence(tmp_path, text):
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(LearntError):
        read_learnt(tmp_path)


def test_a_broken_model_is_a_sentence(tmp_path):
    pytest.importorskip("catboost")
    (tmp_path / "training.json").write_text('{"metrics": {}}')
    (tmp_path / "model.cbm").write_bytes(b"no model")
    np.savez(tmp_path / "rows.npz", x=np.zeros((2, 2), np.float32))
    with pytest.raises(LearntError, match="SHAP"):
        read_learnt(tmp_path)


def test_the_command_writes_three_files(log, tmp_path, capsys):
    config, out = tmp_path / "config.yaml", tmp_path / "out"
    config.write_text("")
    assert main(["train", "report", str(log), "--out", str(out), "--config", str(config)]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["report.html", "report.json", "report.md"]
    assert json.loads((out / "report.json").read_text())["data"]["labels"] == [["IDLE", "BACKGROUND", 1]]
    assert str(out / "report.html") in capsys.readouterr().out
    assert main(["train", "report", str(tmp_path / "no.db"), "--out", str(out), "--config", str(config)]) == 1
    assert "there is no snapshot log" in capsys.readouterr().err
