from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from cdsrcodec.layers.gdn import Gdn
from cdsrcodec.layers.integer import ONE
from cdsrcodec.models.context_prior import SCALE_MIN
from cdsrcodec.models.float_twin import LOG_SCALE_STEP, SCALE_COUNT
from cdsrcodec.zoo.checkpoint import read_checkpoint
from cdsrcodec.zoo.conversion import (
    SCALE_BOUNDS,
    as_convolution,
    convert,
    gaussians_of_cdsr1,
    hyper_tables,
)

if TYPE_CHECKING:
    from compressai.models import ScaleHyperprior

GAUSSIAN_SHA256 = "4cb5c108db4159c01237e1b63d412617e977ea8728e67ea7ecb45235f3a1b69b"
CDF = "entropy_bottleneck._quantized_cdf"


@pytest.fixture(scope="module")
def state(checkpoint: Path) -> dict[str, Tensor]:
    return read_checkpoint(checkpoint, 4)


@pytest.fixture(scope="module")
def files(state: dict[str, Tensor]) -> dict[str, bytes]:
    return convert(state, {"quality": "4"})


def test_a_transposed_convolution_is_one_before_a_pixel_shuffle() -> None:
    torch.manual_seed(0)
    deconv = nn.ConvTranspose2d(3, 2, 5, stride=2, padding=2, output_padding=1, bias=False)
    with torch.no_grad():
        deconv.weight.copy_(torch.randint(-9, 10, deconv.weight.shape))
        x = torch.randint(-9, 10, (1, 3, 4, 3)).float()
        weight = as_convolution(deconv.weight)
        out = nn.functional.pixel_shuffle(nn.functional.conv2d(x, weight, padding=1), 2)
        assert torch.equal(out, deconv(x))


def test_transforms_keep_their_floats(state: dict[str, Tensor], files: dict[str, bytes]) -> None:
    encoder, decoder = load(files["encoder.safetensors"]), load(files["decoder.safetensors"])
    for name, tensor in (encoder | decoder).items():
        assert tensor.dtype == torch.float32
        if not name.endswith((".beta", ".gamma")):
            assert torch.equal(tensor, state[name])
    assert {name[:3] for name in encoder} == {"g_a", "h_a"}
    assert {name[:3] for name in decoder} == {"g_s"}


@pytest.mark.parametrize(("part", "inverse"), [("g_a", False), ("g_s", True)])
def test_a_gdn_acts_as_that_of_compressai(
    files: dict[str, bytes], scale_hyperprior: ScaleHyperprior, part: str, inverse: bool
) -> None:
    tensors = load(files["decoder.safetensors" if inverse else "encoder.safetensors"])
    gdn = Gdn(128, inverse=inverse)
    gdn.load_state_dict({key: tensors[f"{part}.1.{key}"] for key in ("beta", "gamma")})
    x = torch.randn(1, 128, 4, 4)
    with torch.no_grad():
        assert torch.allclose(gdn(x), getattr(scale_hyperprior, part)[1](x), rtol=1e-5)


def test_tables_of_z_are_those_of_the_checkpoint(state: dict[str, Tensor]) -> None:
    tables = hyper_tables(state)
    starts = np.cumsum([0, *tables["z.lengths"].tolist()])
    for channel in (0, 77, 127):
        cdf = state[CDF][channel, : state["entropy_bottleneck._cdf_length"][channel]]
        counts = tables["z.counts"][starts[channel] : starts[channel + 1]]
        assert torch.equal(counts, cdf.diff() * 256)
    assert torch.equal(tables["z.lows"], state["entropy_bottleneck._offset"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_quantized_cdf", 5), ("_cdf_length", 9999), ("_cdf_length", 2), ("_offset", 1 << 20),
        ("_offset", 32767), ("_offset", -32768),
    ],
)  # fmt: skip
def test_malformed_tables_of_z_are_refused(state: dict[str, Tensor], name: str, value: int) -> None:
    key = f"entropy_bottleneck.{name}"
    with pytest.raises(ValueError, match="frequency tables"):
        hyper_tables(state | {key: torch.full_like(state[key], value)})


def test_scales_of_the_tables_are_those_of_compressai(scale_hyperprior: ScaleHyperprior) -> None:
    scales = scale_hyperprior.gaussian_conditional.scale_table.double()
    assert (scales[:-1] * 256).floor().tolist() == list(SCALE_BOUNDS)


def test_scales_of_the_tables_are_those_that_the_symbols_of_cdsr1_are_coded_at() -> None:
    scales = [SCALE_MIN * math.exp(i * LOG_SCALE_STEP) for i in range(SCALE_COUNT - 1)]
    assert [math.floor(scale * ONE) for scale in scales] == list(SCALE_BOUNDS)


def test_tables_of_y_are_the_ones_that_never_change() -> None:
    tables = gaussians_of_cdsr1()
    assert set(tables) == {"gaussian.counts", "gaussian.lengths", "gaussian.lows"}
    digest = hashlib.sha256(b"".join(tables[name].numpy().tobytes() for name in sorted(tables)))
    assert digest.hexdigest() == GAUSSIAN_SHA256


def test_the_entropy_file_stands_for_all_weights(
    state: dict[str, Tensor], files: dict[str, bytes]
) -> None:
    assert convert(state, {"quality": "4"}) == files
    for name in ("g_a.0.bias", "h_a.4.bias", "g_s.6.bias", "h_s.2.weight"):
        changed = convert(state | {name: state[name] * 1.25}, {"quality": "4"})
        assert changed["entropy.safetensors"] != files["entropy.safetensors"]
    assert convert(state, {"quality": "5"})["entropy.safetensors"] != files["entropy.safetensors"]


def test_the_tag_of_a_checkpoint_is_the_same_on_every_machine_and_for_ever(
    state: dict[str, Tensor],
) -> None:
    """Whoever imports the checkpoint of a file can read it."""
    plain = {
        name: ((torch.arange(t.numel()) % 251 - 120) / 4096).float().view(t.shape)
        for name, t in state.items()
        if t.is_floating_point()
    }
    plain[CDF] = torch.tensor([0, 9, 40000, 65000, 65536], dtype=torch.int32).repeat(128, 1)
    plain["entropy_bottleneck._cdf_length"] = torch.full((128,), 5, dtype=torch.int32)
    plain["entropy_bottleneck._offset"] = torch.full((128,), -1, dtype=torch.int32)
    files = convert(plain, {"codec": "bmshj2018-hyperprior", "metric": "mse", "quality": "4"})
    assert hashlib.sha256(files["entropy.safetensors"]).hexdigest()[:8] == "e90cfdd2"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("h_s.2.weight", 1e6, r"h_s\.2: a weight is too large"),
        ("h_s.0.bias", 1e30, r"h_s\.0: a bias is too large"),
        ("entropy_bottleneck.quantiles", 1e9, "a median of z is too large"),
    ],
)
def test_what_has_no_exact_form_is_refused(
    state: dict[str, Tensor], name: str, value: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        convert(state | {name: torch.full_like(state[name], value)}, {})
