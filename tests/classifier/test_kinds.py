"""What each type is, said by the rule files."""

from pathlib import Path

import yaml

from smoothtask.classifier.kinds import LINE_LIMIT, descriptions
from smoothtask.classifier.layers import VENDOR


def test_every_type_that_is_shipped_says_what_it_is() -> None:
    shipped = yaml.safe_load((VENDOR / "types.yaml").read_text())["types"]
    said = descriptions([VENDOR])
    assert said == {name: fields["description"] for name, fields in shipped.items()}
    assert all(said.values())
    assert max(map(len, said.values())) < LINE_LIMIT


def test_the_highest_layer_tells_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    above = tmp_path / "rules.d"
    above.mkdir()
    (above / "a.yaml").write_text('types: {game: {description: "\\e[31mred"}, mine: {}}\n')
    (above / "b.yaml").write_text("types: [nonsense\n")
    (above / "c.yaml").write_text("types: {BAD NAME: {description: x}}\n")
    (above / "d.yaml").symlink_to("nowhere")
    said = descriptions([VENDOR, above, tmp_path / "none"])
    assert said["game"] == "\ufffd[31mred"
    assert said["mine"] == ""
    assert "BAD NAME" not in said
    assert said["browser"] == descriptions([VENDOR])["browser"]
