"""Keeps tests off what this machine has not, and off the models that its user has installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

HOME_VARIABLE = "CDSRCODEC_HOME"
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Honour the markers `gpu` and `shared`; torch is imported for the former only."""
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("../shared is not here")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session", autouse=True)
def _no_installed_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Child processes inherit it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(tmp_path_factory.mktemp("home")))
        yield
