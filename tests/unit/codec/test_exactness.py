"""One stream, one set of symbols: whatever the threads and the vector instructions are.

Each combination is a process of its own, for all of these are settled when torch is loaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cdsrcodec.codec import decode_symbols, encode_pixels
from cdsrcodec.entropy import symbol_crc

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "conformance" / "valid"

# Few, for every process reads them all.
GOLDEN_NAMES = [
    "cat-96x80-q8.cdsr",
    "noise-48x48-q8.cdsr",
    "row-300x1-q5.cdsr",
    "cat-96x80-q8-b27b82ab.cdsr",
    "noise-48x48-q8-b27b82ab.cdsr",
    "cat-96x80-q8-ae250cd6.cdsr",
]

# ATEN_CPU_CAPABILITY -> what oneDNN and MKL are held to. MKL matters most: the matrix
# products of the integer networks are its own, and it dispatches by itself, heeding neither
# of the other two.
INSTRUCTION_SETS = {
    "default": {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512"},
}

CHILD = """
import hashlib, json, sys
from pathlib import Path
import torch
from cdsrcodec.codec import decode_symbols

hashes = {}
for path in map(Path, sys.argv[1:]):
    runs = decode_symbols(path.read_bytes()).runs
    symbols = b"".join(run.astype("<i2").tobytes() for run in runs)
    hashes[path.name] = hashlib.sha256(symbols).hexdigest()
capability = torch.backends.cpu.get_cpu_capability()
report = {"capability": capability, "threads": torch.get_num_threads(), "hashes": hashes}
json.dump(report, sys.stdout)
"""


def is_supported(capability: str) -> bool:
    """Whether this CPU has the instructions that torch is to be held to."""
    order = [name.upper() for name in INSTRUCTION_SETS]
    best = torch.backends.cpu.get_cpu_capability()
    return best in order and order.index(capability.upper()) <= order.index(best)


def symbols_sha256(data: bytes) -> str:
    symbols = b"".join(run.astype("<i2").tobytes() for run in decode_symbols(data).runs)
    return hashlib.sha256(symbols).hexdigest()


@pytest.fixture(scope="module")
def fresh_stream(
    tmp_path_factory: pytest.TempPathFactory,
    crop: Callable[..., NDArray[np.uint8]],
    encode: Callable[..., bytes],
) -> Path:
    """A photograph that cdsr1 encoded here and now."""
    path = tmp_path_factory.mktemp("exactness") / "fresh.cdsr"
    path.write_bytes(encode(crop(192, 160), 7.0))
    return path


def decode_in_child(capability: str, threads: int, paths: list[Path]) -> dict[str, Any]:
    environment = os.environ | INSTRUCTION_SETS[capability]
    environment |= {"ATEN_CPU_CAPABILITY": capability, "OMP_NUM_THREADS": str(threads)}
    # Where other processes hold the cores, threads that wait busily take many times as long.
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.usefixtures("hyperprior")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("capability", INSTRUCTION_SETS)
def test_symbols_are_the_same_under_all_threads_and_instructions(
    fresh_stream: Path,
    crop: Callable[..., NDArray[np.uint8]],
    tmp_path: Path,
    capability: str,
    threads: int,
) -> None:
    if not is_supported(capability):
        pytest.skip(f"this CPU has no {capability}")
    golden = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
    expected = {name: golden[name]["symbols_sha256"] for name in GOLDEN_NAMES}
    hyperprior_stream = tmp_path / "hyperprior.cdsr"
    codec, device = "bmshj2018-hyperprior", torch.device("cpu")
    hyperprior_stream.write_bytes(
        encode_pixels(crop(96, 80), quality=4, codec=codec, device=device)
    )
    gained_stream = tmp_path / "gained.cdsr"
    gained_stream.write_bytes(
        encode_pixels(crop(96, 80), quality=4.5, codec=f"{codec}-gain", device=device)
    )
    fresh = [fresh_stream, hyperprior_stream, gained_stream]
    for path in fresh:
        expected[path.name] = symbols_sha256(path.read_bytes())
    assert len(set(expected.values())) == len(expected)
    paths = [*fresh, *(GOLDEN / name for name in GOLDEN_NAMES)]
    report = decode_in_child(capability, threads, paths)
    assert report["capability"] == capability.upper()
    assert report["threads"] == threads
    assert report["hashes"] == expected


@pytest.fixture
def medium_precision() -> Iterator[None]:
    """Lets torch round the factors of float32 products, where the machine can."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("medium_precision")
def test_a_caller_with_autocast_and_low_precision_gets_the_same_symbols(
    fresh_stream: Path,
) -> None:
    data = fresh_stream.read_bytes()
    with torch.autocast("cpu", torch.bfloat16):
        assert decode_symbols(data).header.symbol_crc == symbol_crc(decode_symbols(data).runs)


def test_where_float32_products_are_rounded_the_symbols_are_the_same(
    fresh_stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fresh_stream.read_bytes()
    expected = symbols_sha256(data)
    addmm_, rounded = Tensor.addmm_, []

    def in_bf16(total: Tensor, left: Tensor, right: Tensor) -> Tensor:
        if total.dtype == torch.float32:
            rounded.append(total.shape)
            left, right = left.bfloat16().float(), right.bfloat16().float()
        return addmm_(total, left, right)

    monkeypatch.setattr(Tensor, "addmm_", in_bf16)
    assert symbols_sha256(data) == expected
    assert len(rounded) == 1  # the trial, whose outcome sends all else to float64
