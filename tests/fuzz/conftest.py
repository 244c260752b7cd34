"""Every test here runs as a campaign does: in bounded memory, with warnings as errors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.campaign import bounded_process


@pytest.fixture(scope="module", autouse=True)
def bounded() -> Iterator[None]:
    with bounded_process():
        yield
