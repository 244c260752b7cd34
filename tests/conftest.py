"""Keeps tests off what this machine has not, and off the models that its user has installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.zoo_server import ZooServer, serve

if TYPE_CHECKING:
    from compressai.models import ScaleHyperprior

    from cdsrcodec.models.registry import CodecEntry

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


@pytest.fixture(scope="session")
def scale_hyperprior() -> ScaleHyperprior:
    """CompressAI's network for quality 4, random, but with symbols and pictures of a usual size."""
    import torch
    from compressai.models import ScaleHyperprior

    torch.manual_seed(0)
    network = ScaleHyperprior(128, 192).eval()
    with torch.no_grad():
        for module in network.modules():
            if hasattr(module, "gamma"):
                module.gamma += 0.02 * torch.rand_like(module.gamma)
                module.beta += 0.1 * torch.rand_like(module.beta)
        for layer, gain, bias in (
            (network.g_a[6], 60.0, 0.0),
            (network.h_a[4], 25.0, 0.0),
            (network.h_s[4], 5.0, 2.2),
            (network.g_s[6], 1.0, 0.5),
        ):
            layer.weight *= gain
            layer.bias += bias
        network.entropy_bottleneck.quantiles[:, 0, 1].uniform_(-1, 1)
    network.update()
    return network


@pytest.fixture(scope="session")
def checkpoint(scale_hyperprior: ScaleHyperprior, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of scale_hyperprior, as CompressAI saves it."""
    import torch

    path = tmp_path_factory.mktemp("checkpoint") / "random-4.pth.tar"
    torch.save(scale_hyperprior.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def _home_with_hyperprior(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, CodecEntry]:
    from cdsrcodec.zoo.importing import import_checkpoint

    home = tmp_path_factory.mktemp("home-with-hyperprior")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        return home, import_checkpoint(checkpoint, "bmshj2018-hyperprior", 4, "mse")


@pytest.fixture
def hyperprior(
    _home_with_hyperprior: tuple[Path, CodecEntry], monkeypatch: pytest.MonkeyPatch
) -> CodecEntry:
    """scale_hyperprior as the one installed model; not to be changed."""
    home, entry = _home_with_hyperprior
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    return entry


@pytest.fixture
def zoo_server() -> Iterator[ZooServer]:
    """A web server on this machine that can misbehave."""
    with serve() as zoo:
        yield zoo
