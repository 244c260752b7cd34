"""What training takes from CompressAI, imported without the warning that comes with it."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # compressai 1.2.8 decorates a function with torch.jit.script, which torch deprecates.
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.entropy_models import EntropyBottleneck
    from compressai.models import ScaleHyperprior
    from compressai.zoo.pretrained import load_pretrained

__all__ = ["EntropyBottleneck", "ScaleHyperprior", "load_pretrained"]
