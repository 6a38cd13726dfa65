"""A real bundle for all tests here: trained by CatBoost once."""

from pathlib import Path

import pytest

from smoothtask.config.bundle import Manifest


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """The folder and its manifest. Not to be written to."""
    for name in ("catboost", "onnx"):
        pytest.importorskip(name, reason="needs the trainer's libraries")
    from trainer.bundles import tiny_bundle

    folder = tmp_path_factory.mktemp("made") / "bundle"
    return folder, tiny_bundle(folder)
