from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cdsrcodec.evaluation import hyperprior
from cdsrcodec.evaluation.codecs import find_codec
from cdsrcodec.evaluation.hyperprior import HyperpriorCodec, checkpoint

Picture = NDArray[np.uint8]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of torch, and no network in memory."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    hyperprior._network.cache_clear()
    (tmp_path / "checkpoints").mkdir()
    yield tmp_path / "checkpoints"
    hyperprior._network.cache_clear()


def test_it_says_which_weights_are_not_in_the_cache(cache: Path) -> None:
    codec = find_codec("bmshj2018-hyperprior", device="cpu")
    assert isinstance(codec, HyperpriorCodec)
    for quality in range(1, 8):
        checkpoint(quality).write_bytes(b"weights")
    assert codec.missing() == (
        f"{cache} has no bmshj2018-hyperprior-8-a583f0cf.pth.tar, which CompressAI's zoo fetches"
    )
    checkpoint(8).write_bytes(b"others")
    assert codec.missing() is None
    weights = codec.describe()["weights"]
    assert len(weights) == 8
    assert len(set(weights.values())) == 2


def test_a_stream_decodes_to_the_size_of_the_picture_from_the_weights_of_the_cache(
    cache: Path, picture: Callable[..., Picture]
) -> None:
    from compressai.models import ScaleHyperprior

    torch.manual_seed(0)
    network = ScaleHyperprior(8, 12)
    network.update(force=True)
    torch.save(network.state_dict(), checkpoint(3))
    codec = HyperpriorCodec(device="cpu")
    x = picture(50, 70)
    stream = codec.encode(x, 3)
    x_hat = codec.decode(stream)
    assert x_hat.shape == x.shape
    assert x_hat.dtype == np.uint8
    padded = np.pad(x, ((0, 14), (0, 58), (0, 0)), mode="edge")
    unit = torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        strings = network.eval().compress(unit)["strings"]
    assert len(stream) == 9 + len(strings[0][0]) + len(strings[1][0])
