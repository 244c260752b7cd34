"""The 4x networks of pixels: their sizes, where they start, how far they see, their files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from cdsrcodec.errors import ModelError
from cdsrcodec.sr.edsr import Edsr
from cdsrcodec.sr.enlargers import NETWORKS, load_enlarger
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger
from cdsrcodec.sr.registry import UPSCALERS
from cdsrcodec.sr.srresnet import SrResNet
from cdsrcodec.sr.wdsr import Wdsr

SMALL = [Edsr(8, 2), Wdsr(8, 2), SrResNet(8, 2)]


def name_of(network: PixelEnlarger) -> str:
    return type(network).__name__


@pytest.mark.parametrize(
    ("network", "parameters"), [("edsr", 1_517_571), ("wdsr", 1_217_696), ("srgan", 1_546_435)]
)
def test_networks_have_the_published_sizes_and_fit_into_4_mb(network: str, parameters: int) -> None:
    count = sum(p.numel() for p in NETWORKS[network]().parameters())
    assert count == parameters
    assert 2 * count < 4e6


def test_the_registry_knows_every_network() -> None:
    assert {entry.network for entry in UPSCALERS if entry.network} == set(NETWORKS)


@pytest.mark.parametrize("network", SMALL, ids=name_of)
@torch.no_grad()
def test_a_new_network_is_the_bicubic_enlargement(network: PixelEnlarger) -> None:
    x = torch.rand(2, 3, 5, 7)
    expected = F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)
    assert torch.equal(network(x), expected)


@pytest.mark.parametrize("make", [Edsr, Wdsr, SrResNet], ids=lambda make: make.__name__)
def test_every_weight_counts_once_the_tail_has_moved(make: type[Edsr | Wdsr | SrResNet]) -> None:
    torch.manual_seed(0)
    network = make(8, 2)
    nn.init.normal_(network.tail.weight, std=0.1)
    x_sr = network(torch.rand(1, 3, 5, 6))
    assert x_sr.shape == (1, 3, 20, 24)
    x_sr.square().sum().backward()
    unused = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert unused == []


@pytest.mark.parametrize("make", [Edsr, Wdsr, SrResNet], ids=lambda make: make.__name__)
def test_a_network_sees_as_far_as_it_says(make: type[Edsr | Wdsr | SrResNet]) -> None:
    network = make(2, 16)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):  # positive throughout: no path cancels another
            nn.init.constant_(module.weight, 1 / module.in_channels)
    reach = network.reach_px
    middle = reach + 1
    x = torch.ones(1, 3, 1, 2 * middle + 1, requires_grad=True)
    row = network(x)[0, 0, 1]
    seen = []
    for column in (4 * middle, 4 * middle + 3):
        (gradient,) = torch.autograd.grad(row[column], x, retain_graph=True)
        seen += gradient.abs().sum((0, 1, 2)).nonzero().flatten().tolist()
    assert (min(seen), max(seen)) == (middle - reach, middle + reach)


def save(network: str, file: Path, name: str | None = None) -> PixelEnlarger:
    """A random network, stored under a name."""
    enlarger = NETWORKS[network]()
    nn.init.normal_(enlarger.get_parameter("tail.weight"), std=0.1)
    state = {name: tensor.half() for name, tensor in enlarger.state_dict().items()}
    save_file(state, file, {"network": name or network})
    return enlarger


@torch.inference_mode()
def test_weights_are_read_back_in_float32(tmp_path: Path) -> None:
    file = tmp_path / "enlarger.safetensors"
    saved = save("wdsr", file)
    loaded = load_enlarger("wdsr", file)
    assert isinstance(loaded, Wdsr)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert not any(p.is_inference() for p in loaded.parameters())
    x = torch.rand(1, 3, 4, 5)
    torch.testing.assert_close(loaded(x), saved(x), atol=0.02, rtol=0)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "enlarger.safetensors"
    save("wdsr", file)
    with pytest.raises(ModelError, match=f"^{file}: not the exported weights of edsr, but of wdsr"):
        load_enlarger("edsr", file)
    save("wdsr", file, name="edsr")
    with pytest.raises(ModelError, match=f"^{file}: not the tensors of edsr. hint: "):
        load_enlarger("edsr", file)


@pytest.mark.parametrize("data", [None, b"", b"no weights"], ids=["missing", "empty", "text"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, data: bytes | None) -> None:
    file = tmp_path / "enlarger.safetensors"
    if data is not None:
        file.write_bytes(data)
    reason = ": No such file or directory" if data is None else ""
    with pytest.raises(ModelError, match=f"^{file}: the weights cannot be read{reason}. hint: "):
        load_enlarger("edsr", file)
