"""Whole runs on small pictures, and their export to the files that are shipped."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from cdsrcodec.codec import decode_pixels, encode_pixels
from cdsrcodec.codec.loading import latent_upscaler
from cdsrcodec.codec.upscalers import new_upscaler
from cdsrcodec.errors import FileAccessError, OutputExistsError, TrainingError
from cdsrcodec.models.integer_layers import LAYERS
from cdsrcodec.models.registry import CODECS, CodecEntry, codec_named
from cdsrcodec.sr.registry import UpscalerEntry
from cdsrcodec.training import runs
from cdsrcodec.training.codec_recipe import CodecRecipeConfig, TrainableCdsr1, load_network
from cdsrcodec.training.distributed import Group
from cdsrcodec.training.enlarger_recipe import EnlargerRecipeConfig
from cdsrcodec.training.export import export_codec
from cdsrcodec.training.loop import LoopConfig, StepReport
from cdsrcodec.training.runs import OnStep, average_runs, export_run, train_codec

CPU = torch.device("cpu")
DECODER = ("g_s.", "quality.g_s_scale16", "quality.g_s_scale8", "quality.log_gain_correction")
CODEC_FILES = ["decoder", "encoder", "entropy", "training"]


class Interruption(Exception):
    """Stands for a kill, at which nothing more is saved."""


def digests(folder: Path) -> dict[str, str]:
    files = sorted(folder.iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stems(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.iterdir())


@pytest.fixture(scope="module")
def exported_again(
    shipped_network: TrainableCdsr1, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The shipped codec, exported from what its files give as float weights."""
    folder = tmp_path_factory.mktemp("exported")
    export_codec(shipped_network, folder)
    return folder


def without_integer_layers(file: Path) -> dict[str, Tensor]:
    """Tensors of a file but those that calibration and counting make anew."""
    anew = ("h_s.", "prior.", "grid.", "counted.")
    return {n: tensor for n, tensor in load_file(file).items() if not n.startswith(anew)}


def test_a_codec_trains_in_bf16(pictures: Path, shipped: Path, run_folder: Path) -> None:
    reports: list[StepReport] = []
    config = CodecRecipeConfig(pictures, patch_px=64, batch=1, factors=(1,), start=shipped)
    loop = LoopConfig(run_folder, steps=1, warmup_steps=0, precision="bf16")
    weights = load_file(train_codec(config, loop, CPU, reports.append))
    assert reports[0].metrics["skipped"] == 0
    assert all(math.isfinite(value) for value in reports[0].metrics.values())
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {torch.float32}


def test_a_codec_run_that_was_interrupted_ends_as_if_it_had_not_been(
    pictures: Path, shipped: Path, run_folder: Path
) -> None:
    config = CodecRecipeConfig(pictures, patch_px=64, batch=1, start=shipped)
    steps: list[int] = []

    def interrupt(report: StepReport) -> None:
        if report.step == 3:
            raise Interruption

    def run(name: str, checkpoint_minutes: float, on_step: OnStep) -> dict[str, Tensor]:
        loop = LoopConfig(
            run_folder / name,
            steps=4,
            warmup_steps=2,
            precision="fp32",
            checkpoint_minutes=checkpoint_minutes,
        )
        return load_file(train_codec(config, loop, CPU, on_step))

    with pytest.raises(Interruption):
        run("parts", 0, interrupt)
    resumed = run("parts", 10, lambda report: steps.append(report.step))
    whole = run("whole", 10, lambda _: None)
    assert steps == [3, 4]
    assert whole.keys() == resumed.keys()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []


def test_precision_is_that_of_the_gpu_that_a_process_has_in_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, asked = torch.device("cpu:0"), list[torch.device]()

    def resolve(_name: str, device: torch.device) -> str:
        asked.append(device)
        raise Interruption

    monkeypatch.setattr(runs, "joined_group", lambda device: nullcontext(Group(own)))
    monkeypatch.setattr(runs, "EnlargerRecipe", lambda config, device: None)
    monkeypatch.setattr(runs, "resolve_precision", resolve)
    with pytest.raises(Interruption):
        runs.train_enlarger(EnlargerRecipeConfig(tmp_path), LoopConfig(tmp_path, steps=1), CPU)
    assert asked == [own] != [CPU]


def test_a_run_leaves_its_weights_checkpoint_and_log(codec_run: Path, upscaler_run: Path) -> None:
    assert stems(codec_run) == ["checkpoint", "codec", "log"]
    assert stems(upscaler_run) == ["checkpoint", "log", "upscaler"]
    with safe_open(codec_run / "codec.safetensors", "pt") as opened:
        assert opened.metadata() == {"part": "all"}
    with safe_open(upscaler_run / "upscaler.safetensors", "pt") as opened:
        assert opened.metadata() == {"blocks": "1", "codec": "cdsr1"}


def test_the_mean_of_runs_is_a_finished_run(
    codec_run: Path, decoder_run: Path, upscaler_run: Path, run_folder: Path, tmp_path: Path
) -> None:
    weights = load_file(decoder_run / "codec.safetensors")
    other = run_folder / "other"
    other.mkdir(parents=True)
    moved = {n: t + 1 if t.is_floating_point() else t for n, t in weights.items()}
    save_file(moved, other / "codec.safetensors", {"part": "decoder"})
    target = average_runs([decoder_run, other], run_folder / "mean")
    assert target == run_folder / "mean" / "codec.safetensors"
    for name, tensor in load_file(target).items():
        expected = weights[name] + 0.5 if tensor.is_floating_point() else weights[name]
        torch.testing.assert_close(tensor, expected)
    export_run(run_folder / "mean", tmp_path / "x")
    assert stems(tmp_path / "x") == ["decoder"]
    for different in (codec_run, upscaler_run):
        with pytest.raises(TrainingError, match="different networks"):
            average_runs([decoder_run, different], run_folder / "none")
    with pytest.raises(TrainingError, match="no finished run"):
        average_runs([decoder_run, tmp_path], run_folder / "none")
    assert not (run_folder / "none").exists()


def test_the_mean_of_runs_replaces_none_of_them(codec_run: Path, decoder_run: Path) -> None:
    before = digests(decoder_run)
    for output in (decoder_run, decoder_run / "new" / ".."):
        with pytest.raises(OutputExistsError, match="one of the runs, whose weights would be"):
            average_runs([codec_run, decoder_run], output)
    assert digests(decoder_run) == before


def test_a_run_of_a_part_that_is_unknown_is_not_exported(codec_run: Path, tmp_path: Path) -> None:
    weights = load_file(codec_run / "codec.safetensors")
    save_file(weights, tmp_path / "codec.safetensors", {"part": "prior"})
    with pytest.raises(TrainingError, match="damaged, or not written by a run"):
        export_run(tmp_path, tmp_path / "target")


def test_a_codec_run_moves_every_tensor(codec_run: Path, shipped_network: TrainableCdsr1) -> None:
    weights = load_file(codec_run / "codec.safetensors")
    start = dict(shipped_network.named_parameters())
    assert [name for name, tensor in start.items() if torch.equal(weights[name], tensor)] == []


def test_a_decoder_run_leaves_everything_else_as_it_was(
    decoder_run: Path, shipped_network: TrainableCdsr1
) -> None:
    weights = load_file(decoder_run / "codec.safetensors")
    start = dict(shipped_network.named_parameters())
    moved = {name for name, tensor in start.items() if not torch.equal(weights[name], tensor)}
    assert moved == {name for name in start if name.startswith(DECODER)}


def test_the_export_of_a_codec_proves_every_integer_layer(codec_run: Path, tmp_path: Path) -> None:
    bounds = export_run(codec_run, tmp_path / "new" / "codec")
    assert stems(tmp_path / "new" / "codec") == CODEC_FILES
    assert list(bounds) == list(LAYERS)
    assert all(2**20 < bound < 2**53 for bound in bounds.values())


def test_an_exported_codec_exports_to_the_same_bytes(codec_run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    export_run(codec_run, first)
    network = TrainableCdsr1()
    load_network(network, first)
    second.mkdir()
    export_codec(network, second)
    assert digests(second) == digests(first)


@pytest.mark.parametrize("name", CODEC_FILES)
def test_the_shipped_codec_exports_to_the_shipped_tensors(
    shipped: Path, exported_again: Path, name: str
) -> None:
    expected, exported = (
        without_integer_layers(folder / f"{name}.safetensors")
        for folder in (shipped, exported_again)
    )
    assert exported.keys() == expected.keys()
    # Counts are computed in floats, where another machine may round another way.
    counts = {"z.counts", "gaussian.counts"}
    assert [n for n in set(expected) - counts if not torch.equal(exported[n], expected[n])] == []
    for key in counts & set(expected):
        torch.testing.assert_close(exported[key], expected[key], atol=2, rtol=0)


def test_an_exported_codec_codes_pictures(
    codec_run: Path, tmp_path: Path, photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    export_run(codec_run, tmp_path)
    entry = CodecEntry("cdsr1", 1, tmp_path)
    assert entry.entropy_tag() != codec_named("cdsr1").entropy_tag()
    monkeypatch.setitem(CODECS, "cdsr1", replace(CODECS["cdsr1"], folder=tmp_path))
    data = encode_pixels(photograph, quality=6.0, codec="cdsr1", device=CPU)
    x_hat = decode_pixels(data, sr=1, upscaler="", device=CPU).astype(np.float64)
    psnr_db = 10 * math.log10(255**2 / np.mean((x_hat - photograph) ** 2))
    assert psnr_db > 28


def test_a_run_of_the_transforms_leaves_the_entropy_part_alone(
    codec_run: Path, run_folder: Path, tmp_path: Path
) -> None:
    run_folder.mkdir(parents=True)
    save_file(
        load_file(codec_run / "codec.safetensors"),
        run_folder / "codec.safetensors",
        {"part": "transforms"},
    )
    assert export_run(run_folder, tmp_path / "x") == {}
    assert stems(tmp_path / "x") == ["decoder", "encoder"]


def test_a_decoder_run_exports_the_decoder_alone(decoder_run: Path, tmp_path: Path) -> None:
    assert export_run(decoder_run, tmp_path) == {}
    assert stems(tmp_path) == ["decoder"]
    exported = load_file(tmp_path / "decoder.safetensors")
    weights = load_file(decoder_run / "codec.safetensors")
    assert exported.keys() == {name for name in weights if name.startswith(DECODER)}
    for name, tensor in exported.items():
        assert tensor.dtype == (torch.float16 if tensor.ndim == 4 else torch.float32)
        torch.testing.assert_close(tensor.float(), weights[name], atol=1e-6, rtol=1e-3)


@torch.inference_mode()
def test_an_exported_upscaler_is_the_trained_one(upscaler_run: Path, tmp_path: Path) -> None:
    assert export_run(upscaler_run, tmp_path) == {}
    assert stems(tmp_path) == ["latent"]
    entry = UpscalerEntry("latent", "cdsr1", tmp_path / "latent.safetensors")
    loaded = latent_upscaler(entry, CPU)
    trained = new_upscaler("cdsr1", 1)
    trained.load_state_dict(load_file(upscaler_run / "upscaler.safetensors"))
    y_hat = 3 * torch.randn(1, 224, 2, 3, generator=torch.Generator().manual_seed(0))
    level = torch.tensor([3.3])
    expected = trained(y_hat, level)
    assert loaded(y_hat, level).shape == (1, 3, 128, 192)
    torch.testing.assert_close(loaded(y_hat, level), expected, atol=0.02, rtol=0)


def test_a_folder_without_a_finished_run_is_an_error(tmp_path: Path) -> None:
    run, target = tmp_path / "run", tmp_path / "target"
    run.mkdir()
    (run / "checkpoint.pt").touch()
    with pytest.raises(TrainingError, match=f"^{run}: no finished run: .* hint: start"):
        export_run(run, target)
    assert not target.exists()


@pytest.mark.parametrize("name", ["codec", "upscaler"])
@pytest.mark.parametrize("data", [b"", b"no weights", None], ids=["empty", "text", "no metadata"])
def test_weights_that_no_run_wrote_are_an_error(
    tmp_path: Path, name: str, data: bytes | None
) -> None:
    file = tmp_path / f"{name}.safetensors"
    if data is None:
        save_file({"x": torch.zeros(1)}, file)
    else:
        file.write_bytes(data)
    with pytest.raises(TrainingError, match=f"^{file}: damaged, or not written by a run"):
        export_run(tmp_path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("name", "metadata", "message"),
    [
        ("codec", {"part": "all"}, "not weights of this codec"),
        ("upscaler", {"blocks": "1"}, "not weights of this network"),
    ],
)
def test_weights_of_something_else_are_an_error(
    tmp_path: Path, name: str, metadata: dict[str, str], message: str
) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / f"{name}.safetensors", metadata)
    with pytest.raises(TrainingError, match=message):
        export_run(tmp_path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_target_that_is_a_file_is_an_error(decoder_run: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    with pytest.raises(FileAccessError, match=f"^{target}: cannot be made"):
        export_run(decoder_run, target)


def blow_up_weight(network: TrainableCdsr1) -> None:
    network.get_parameter("prior.step0.0.weight")[3, 5] = 20000.0


def blow_up_bias(network: TrainableCdsr1) -> None:
    network.get_parameter("h_s.2.bias")[7] = 1e18


def blow_up_sums(network: TrainableCdsr1) -> None:
    # The bias alone would fit; what the weights can add to it does not.
    network.get_parameter("prior.adapt.1.bias")[7] = 2.0**31 - 2.0**7
    network.get_parameter("prior.adapt.1.weight")[7] = 1.0


def spoil_entropy_layer(network: TrainableCdsr1) -> None:
    network.get_parameter("prior.shared.3.weight")[0] = math.nan


def spoil_entropy_bias(network: TrainableCdsr1) -> None:
    network.get_parameter("prior.shared.3.bias")[0] = math.nan


def spoil_gain(network: TrainableCdsr1) -> None:
    network.get_parameter("quality.log_gain")[2] = math.inf


def overflow_half(network: TrainableCdsr1) -> None:
    network.get_parameter("g_a.tail.weight")[0, 0] = 1e5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (blow_up_weight, r"prior\.step0\.0: a weight is too large"),
        (blow_up_bias, r"h_s\.2: a bias is too large"),
        (blow_up_sums, r"prior\.adapt\.1: sums up to \d+ are not exact"),
        (spoil_entropy_layer, r"prior\.shared\.3: a weight"),
        (spoil_entropy_bias, r"prior\.shared\.3: a bias"),
        (spoil_gain, r"quality\.log_gain: too large"),
        (overflow_half, r"g_a\.tail\.weight: too large for fp16"),
    ],
)
def test_a_network_that_cannot_be_shipped_exactly_is_an_error(
    tmp_path: Path,
    shipped: Path,
    damage: Callable[[TrainableCdsr1], None],
    message: str,
) -> None:
    network = TrainableCdsr1()
    load_network(network, shipped)
    with torch.no_grad():
        damage(network)
    state = {name: parameter.detach() for name, parameter in network.named_parameters()}
    save_file(state, tmp_path / "codec.safetensors", {"part": "all"})
    with pytest.raises(TrainingError, match=f"{message}.* hint: the run diverged"):
        export_run(tmp_path, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []
