"""RRDBNet, and the ways to its weights."""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cdsrcodec.errors import ModelError
from cdsrcodec.sr import esrgan
from cdsrcodec.sr.esrgan import load_esrgan
from cdsrcodec.sr.rrdbnet import RrdbNet

State = dict[str, Tensor]


def test_rrdbnet_has_the_published_size() -> None:
    assert sum(p.numel() for p in RrdbNet().parameters()) == 16_697_987


def test_rrdbnet_enlarges_four_times_and_uses_every_weight() -> None:
    network = RrdbNet(channels=4, blocks=2, growth=2)
    x_sr = network(torch.rand(1, 3, 5, 6))
    assert x_sr.shape == (1, 3, 20, 24)
    x_sr.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.fixture
def network() -> RrdbNet:
    torch.manual_seed(0)
    return RrdbNet(channels=4, blocks=2, growth=2)


def real_esrgan_name(ours: str) -> str:
    """Our names in the spelling of RealESRGAN_x4plus.pth."""
    block = re.fullmatch(r"body\.(\d)\.blocks\.(\d)\.convs\.(\d)\.(\w+)", ours)
    if block:
        return f"body.{block[1]}.rdb{int(block[2]) + 1}.conv{int(block[3]) + 1}.{block[4]}"
    layer, _, kind = ours.rpartition(".")
    others = {"head": "conv_first", "body.2": "conv_body", "up1": "conv_up1", "up2": "conv_up2"}
    others |= {"high": "conv_hr", "tail": "conv_last"}
    return f"{others[layer]}.{kind}"


def later_esrgan_name(ours: str) -> str:
    """In that of ESRGAN's RRDBNet_arch.py."""
    name = real_esrgan_name(ours).replace("rdb", "RDB")
    changes = {"conv_body": "trunk_conv", "conv_up": "upconv", "conv_hr": "HRconv"}
    changes["body."] = "RRDB_trunk."
    for old, new in changes.items():
        name = name.replace(old, new)
    return name


def first_esrgan_name(ours: str) -> str:
    """In that of ESRGAN's first release, RRDB_ESRGAN_x4_old_arch.pth."""
    block = re.fullmatch(r"body\.(\d)\.blocks\.(\d)\.convs\.(\d)\.(\w+)", ours)
    if block:
        dense, conv = int(block[2]) + 1, int(block[3]) + 1
        return f"model.1.sub.{block[1]}.RDB{dense}.conv{conv}.0.{block[4]}"
    layer, _, kind = ours.rpartition(".")
    others = {"head": "model.0", "body.2": "model.1.sub.2", "up1": "model.3", "up2": "model.6"}
    others |= {"high": "model.8", "tail": "model.10"}
    return f"{others[layer]}.{kind}"


SPELLINGS = [real_esrgan_name, later_esrgan_name, first_esrgan_name]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling.__name__)
def test_all_spellings_of_the_published_code_are_read(
    network: RrdbNet, tmp_path: Path, spelling: Callable[[str], str]
) -> None:
    state = {spelling(name): tensor for name, tensor in network.state_dict().items()}
    assert len(state) == len(network.state_dict())
    save_file(state, tmp_path / "x4.safetensors")
    loaded = load_esrgan(tmp_path / "x4.safetensors")
    x = torch.rand(1, 3, 5, 6)
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", None])
def test_checkpoints_are_read_in_their_usual_wrappers(
    network: RrdbNet, tmp_path: Path, wrapper: str | None
) -> None:
    state = {real_esrgan_name(name): t.half() for name, t in network.state_dict().items()}
    torch.save({wrapper: state} if wrapper else state, tmp_path / "x4.pth")
    loaded = load_esrgan(tmp_path / "x4.pth").state_dict()
    assert {t.dtype for t in loaded.values()} == {torch.float32}
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded[name], tensor.half().float())


class Malice:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, ("malice",)


def break_file(file: Path, state: State) -> None:
    file.write_bytes(b"not weights")


def remove_layer(file: Path, state: State) -> None:
    torch.save({k: v for k, v in state.items() if "conv_hr" not in k}, file)


def remove_blocks(file: Path, state: State) -> None:
    torch.save({k: v for k, v in state.items() if not k.startswith("body")}, file)


def rename_layer(file: Path, state: State) -> None:
    torch.save({k.replace("conv_hr", "conv_high"): v for k, v in state.items()}, file)


def save_another_scale(file: Path, state: State) -> None:
    torch.save(state | {"conv_first.weight": torch.zeros(4, 12, 3, 3)}, file)


def save_numbers(file: Path, state: State) -> None:
    torch.save({"step": 3}, file)


def save_unnamed_tensors(file: Path, state: State) -> None:
    torch.save(dict(enumerate(state.values())), file)


def save_code(file: Path, state: State) -> None:
    file.write_bytes(pickle.dumps(Malice()))


@pytest.mark.parametrize(
    "damage",
    [
        break_file, remove_layer, remove_blocks, rename_layer, save_another_scale, save_numbers,
        save_unnamed_tensors, save_code,
    ],
)  # fmt: skip
def test_other_files_are_refused_in_one_line(
    network: RrdbNet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Path, State], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x4.pth"
    damage(file, {real_esrgan_name(k): t for k, t in network.state_dict().items()})
    with pytest.raises(ModelError, match=r"x4\.pth: .*\. hint: ") as caught:
        load_esrgan(file)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x4.pth"], "code of a pickle ran"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_esrgan(tmp_path / "x4.safetensors")


def ncnn_bytes(network: RrdbNet) -> bytes:
    """The layers in order, each a flag and fp16 weights, then fp32 biases."""
    parts = []
    for name, p in network.state_dict().items():
        is_weight = name.endswith("weight")
        flag = (0x01306B47).to_bytes(4, "little") if is_weight else b""
        parts.append(flag + p.numpy().astype("<f2" if is_weight else "<f4").tobytes())
    return b"".join(parts)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: RrdbNet) -> Path:
    """A package of the right name with a small network's file; importing it would fail."""
    folder = tmp_path / esrgan.PACKAGE
    file = folder / esrgan.PACKAGED_FILE
    file.parent.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('no Vulkan')")
    file.write_bytes(ncnn_bytes(network))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(esrgan, "RrdbNet", lambda: RrdbNet(channels=4, blocks=2, growth=2))
    monkeypatch.setattr(esrgan, "PACKAGED_SHA256", hashlib.sha256(file.read_bytes()).hexdigest())
    return file


@pytest.mark.usefixtures("package")
def test_the_package_gives_its_file_without_being_imported(network: RrdbNet) -> None:
    loaded = load_esrgan(None).state_dict()
    assert esrgan.PACKAGE not in sys.modules
    for name, tensor in network.state_dict().items():
        expected = tensor.half().float() if name.endswith("weight") else tensor
        np.testing.assert_array_equal(loaded[name], expected)


def test_another_file_in_the_package_is_refused(package: Path) -> None:
    package.write_bytes(package.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"not the file that is known\. hint: pip install"):
        load_esrgan(None)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esrgan, "PACKAGE", "realesrgan_that_is_not_there")
    with pytest.raises(ModelError, match=r"pip install 'cdsrcodec\[esrgan\]', or name a file"):
        load_esrgan(None)
