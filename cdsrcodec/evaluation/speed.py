"""Seconds of `cdsr1` beside CompressAI's hyperprior and RRDBNet, and of start-up.

    python -m cdsrcodec.evaluation.speed IMAGE

Everything runs in turns in one session, after one round to warm up, and medians are
compared: a machine that slows down then slows both sides of a ratio. Both run on the CPU, also
where there is a GPU.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from cdsrcodec import api
from cdsrcodec.codec import encode_pixels, resolve_device
from cdsrcodec.container import Limits
from cdsrcodec.evaluation.scripts import exit_code
from cdsrcodec.imageio.reader import read_rgb
from cdsrcodec.layers.padding import pad_to_multiple
from cdsrcodec.models.registry import CDSR1
from cdsrcodec.sr.registry import UPSCALE
from cdsrcodec.sr.rrdbnet import RrdbNet

CORE_SIZE_PX = (510, 340)  # a quarter of the usual 2K pictures of 4x
STARTUP_SIZE_PX = (512, 384)
QUALITY = 5
DEVICE = "cpu"
HYPERPRIOR_MULTIPLE_PX = 64

Tasks = Mapping[str, Callable[[], object]]


def time_in_turns(tasks: Tasks, repeats: int) -> dict[str, float]:
    """Median seconds of each task over `repeats` rounds of all, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(1 + repeats):
        for name, task in tasks.items():
            begin_s = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - begin_s)
    return {name: median(times[1:]) for name, times in seconds.items()}


def codec_tasks(x: NDArray[np.uint8]) -> Tasks:
    """Encode and native decode of x (H, W, 3), bytes and pictures in memory.

    What users call decodes the symbols again before it gives the stream away, which CompressAI's
    compress does not; so coding is timed without that and with it.
    """
    stream = api.encode(x, quality=QUALITY, device=DEVICE)
    device = resolve_device(DEVICE)
    return {
        "cdsr1 encode": partial(
            encode_pixels, x, quality=QUALITY, codec=CDSR1, device=device, verify=False
        ),
        "cdsr1 encode, verified": partial(api.encode, x, quality=QUALITY, device=DEVICE),
        "cdsr1 decode": partial(api.decode, stream, device=DEVICE),
    }


def hyperprior_tasks(x: NDArray[np.uint8]) -> Tasks:
    """CompressAI's compress and decompress of x (H, W, 3), without its weights.

    They set neither the shapes nor the number of symbols. Conversion and padding of
    the picture are not counted, for `cdsr1` they are.
    """
    from compressai.zoo import bmshj2018_hyperprior

    network = bmshj2018_hyperprior(quality=QUALITY, pretrained=False).eval()
    network.update(force=True)
    padded = pad_to_multiple(to_tensor(x), HYPERPRIOR_MULTIPLE_PX)
    with torch.inference_mode():
        coded = network.compress(padded)
    return {
        "hyperprior compress": torch.inference_mode()(partial(network.compress, padded)),
        "hyperprior decompress": torch.inference_mode()(
            partial(network.decompress, coded["strings"], coded["shape"])
        ),
    }


def enlarger_tasks(x: NDArray[np.uint8]) -> Tasks:
    """4x of the same coded x (H, W, 3): from the stream, and by RRDBNet from its picture.

    Both in fp32, also where decoding by itself would take bf16.
    """
    stream = api.encode(x, quality=QUALITY, device=DEVICE)
    x_hat = to_tensor(np.asarray(api.decode(stream, device=DEVICE)))
    network = RrdbNet().eval()
    return {
        "cdsr1 decode --sr 4": partial(
            api.decode, stream, sr=UPSCALE, device=DEVICE, precision="fp32"
        ),
        "RRDBNet forward": torch.inference_mode()(partial(network, x_hat)),
    }


def startup_tasks(picture: Path, folder: Path) -> Tasks:
    """Whole processes: the encoder on a picture file, and what it cannot be faster than."""
    stream = folder / "timed.cdsr"
    module = [sys.executable, "-m", "cdsrcodec"]
    commands = {
        "import torch": [sys.executable, "-c", "import torch"],
        "cdsrcodec encode": [
            *module, "encode", "-f", "--device", DEVICE, str(picture), str(stream)
        ],
        "cdsrcodec info": [*module, "info", str(stream)],
        "cdsrcodec --help": [*module, "--help"],
    }  # fmt: skip
    return {
        name: partial(subprocess.run, command, check=True, capture_output=True)
        for name, command in commands.items()
    }


def to_tensor(x: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float in [0, 1]."""
    # A copy: Pillow's arrays are read-only, which torch warns of.
    return torch.from_numpy(x.copy()).permute(2, 0, 1)[None].float() / 255


def report(seconds: Mapping[str, float], ratios: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Lines: the medians, then the ratio of each (slower, faster) pair of names."""
    for name, median_s in seconds.items():
        yield f"{name}\t{median_s:.4f} s"
    for numerator, denominator in ratios:
        ratio = seconds[numerator] / seconds[denominator]
        yield f"{numerator} / {denominator}\t{ratio:.2f}"


def time_core(x: NDArray[np.uint8], repeats: int) -> Iterator[str]:
    """Encode and native decode against the hyperprior."""
    seconds = time_in_turns({**codec_tasks(x), **hyperprior_tasks(x)}, repeats)
    pairs = [
        ("hyperprior compress", "cdsr1 encode"),
        ("hyperprior compress", "cdsr1 encode, verified"),
        ("hyperprior decompress", "cdsr1 decode"),
    ]
    return report(seconds, pairs)


def time_enlargers(x: NDArray[np.uint8], repeats: int) -> Iterator[str]:
    """4x decoding against RRDBNet."""
    seconds = time_in_turns(enlarger_tasks(x), repeats)
    return report(seconds, [("RRDBNet forward", "cdsr1 decode --sr 4")])


def time_startup(picture: Image.Image, repeats: int) -> Iterator[str]:
    """Whole processes against `import torch`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "timed.png"
        picture.save(file)
        seconds = time_in_turns(startup_tasks(file, Path(folder)), repeats)
    return report(seconds, [("cdsrcodec encode", "import torch")])


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cdsrcodec.evaluation.speed", description=__doc__
    )
    parser.add_argument(
        "image", type=Path, help="a picture; its middle is scaled to the sizes timed"
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="of torch; start-up uses its default"
    )
    parser.add_argument("--repeats", type=int, default=11, help="rounds of the fast tasks")
    parser.add_argument("--slow-repeats", type=int, default=3, help="rounds of the 4x enlargers")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Time what the arguments ask for; returns the exit code."""
    args = _parse(argv)

    def run() -> None:
        """Print all figures."""
        picture = Image.fromarray(read_rgb(args.image, max_pixels=Limits().max_pixels))
        torch.set_num_threads(args.threads)
        x = np.asarray(ImageOps.fit(picture, CORE_SIZE_PX))
        for lines in (
            time_core(x, args.repeats),
            time_enlargers(x, args.slow_repeats),
            time_startup(ImageOps.fit(picture, STARTUP_SIZE_PX), args.repeats),
        ):
            sys.stdout.writelines(f"{line}\n" for line in lines)

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
