"""Skips the tests whose device or data is not on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Honour the markers `gpu` and `shared`; torch is imported for the former only."""
    if item.get_closest_marker("shared") and not SHARED.is_dir():
        pytest.skip("../shared is not here")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
