from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cdsrcodec.errors import ModelError
from cdsrcodec.zoo.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from compressai.models import ScaleHyperprior

State = dict[str, Tensor]


@pytest.fixture
def state(scale_hyperprior: ScaleHyperprior) -> State:
    return dict(scale_hyperprior.state_dict())


def saved(state: object, folder: Path) -> Path:
    path = folder / "x.pth"
    torch.save(state, path)
    return path


def old_spelling(name: str) -> str:
    """As the zoo's files have it: `_matrix0`, and before that `_matrices.0`."""
    for new, old in (("matrices", "_matrix"), ("biases", "_bias"), ("factors", "_factor")):
        name = re.sub(rf"\.{new}\.(\d)$", rf".{old}\1", name)
    return name


def test_a_checkpoint_gives_what_the_codec_needs(checkpoint: Path, state: State) -> None:
    needed = read_checkpoint(checkpoint, 4)
    assert len(needed) == 2 * (4 * 2 + 3 * 2) + 2 * (3 * 2) + 4
    assert all(torch.equal(tensor, state[name]) for name, tensor in needed.items())


def test_other_ways_to_save_the_same_give_the_same(
    checkpoint: Path, state: State, tmp_path: Path
) -> None:
    expected = read_checkpoint(checkpoint, 4)
    old = {old_spelling(name): tensor for name, tensor in state.items()}
    assert "entropy_bottleneck._matrix0" in old
    older = {name.replace(".matrices.", "._matrices."): t for name, t in state.items()}
    files = [
        saved(old, tmp_path),
        saved(older, tmp_path),
        saved({"epoch": 3, "state_dict": state, "loss": 0.5}, tmp_path),
        saved({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path),
        tmp_path / "x.safetensors",
    ]
    save_file(state, files[-1])
    for file in files:
        needed = read_checkpoint(file, 4)
        assert needed.keys() == expected.keys()
        assert all(torch.equal(needed[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"h_s.4.bias": None}, r"h_s\.4\.bias is missing"),
        ({"g_a.7.weight": torch.zeros(3)}, r"g_a\.7\.weight is unknown"),
        ({"g_a.0.weight": torch.zeros(192, 3, 5, 5)}, r"is of shape 192x3x5x5, not 128x3x5x5"),
        ({"g_a.1.gamma": torch.zeros(128)}, r"g_a\.1\.gamma is of shape 128, not 128x128"),
        ({"g_s.0.bias": torch.zeros(128, dtype=torch.int32)}, r"is of type torch\.int32"),
        ({"g_s.0.bias": torch.full((128,), torch.nan)}, r"g_s\.0\.bias is not finite"),
        ({"entropy_bottleneck._offset": torch.zeros(128)}, r"_offset is of type torch\.float32"),
        ({"entropy_bottleneck._quantized_cdf": torch.IntTensor()}, r"tables are empty.*update_mo"),
    ],
)
def test_a_wrong_tensor_is_named(
    state: State, tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    changed = {name: t for name, t in (state | change).items() if t is not None}
    file = saved(changed, tmp_path)
    with pytest.raises(
        ModelError, match=rf"x\.pth: not a checkpoint .* quality 4: .*{message}"
    ) as e:
        read_checkpoint(file, 4)
    assert "hint: " in str(e.value)
    assert "\n" not in str(e.value)


def test_a_checkpoint_of_another_size_is_refused_with_the_sizes_of_the_qualities(
    checkpoint: Path,
) -> None:
    with pytest.raises(
        ModelError, match=r"quality 6: .*128.*not 192.* -q 1 to 5 have 128x192 chan"
    ):
        read_checkpoint(checkpoint, 6)


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.write_text, (tmp_path / "ran", "code"))

    file = saved({"state_dict": Evil()}, tmp_path)
    with pytest.raises(ModelError, match="the weights cannot be read"):
        read_checkpoint(file, 4)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x.pth.tar"
    if content is not None:
        file.write_bytes(content)
    reason = ": No such file or directory" if content is None else ""
    with pytest.raises(
        ModelError, match=rf"x\.pth\.tar: the weights cannot be read{reason}\. hint: a \.pth"
    ):
        read_checkpoint(file, 4)
