"""4x networks of pixels in the form that is trained, and folded into the one that is shipped.

Normalisation helps training and is linear afterwards: the weights of WDSR are a direction
times a length while it learns, those of SRGAN's generator are followed by batch
normalisation. Folded, both are plain convolutions.
"""

from __future__ import annotations

from copy import deepcopy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from cdsrcodec.sr.enlargers import NETWORKS
from cdsrcodec.sr.pixel_enlarger import PixelEnlarger
from cdsrcodec.sr.srresnet import SrResNet
from cdsrcodec.sr.wdsr import Wdsr


def trainable(network: str) -> PixelEnlarger:
    """A network of sr.enlargers at its start, in the form that is trained."""
    enlarger = SrResNet(normalised=True) if network == "srgan" else NETWORKS[network]()
    if isinstance(enlarger, Wdsr):
        # Tail and skip begin at zero, which has no direction.
        for part in (enlarger.head, enlarger.body):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    weight_norm(module)
    return enlarger


def folded(enlarger: PixelEnlarger) -> PixelEnlarger:
    """A copy without normalisation that answers as the original does when it is not training."""
    plain = deepcopy(enlarger).eval()
    for module in plain.modules():
        if isinstance(module, nn.Conv2d) and is_parametrized(module):
            remove_parametrizations(module, "weight")
    if isinstance(plain, SrResNet):
        for block in plain.body:
            _fold(block, "conv1", "norm1")
            _fold(block, "conv2", "norm2")
        _fold(plain, "body_end", "body_norm")
    return plain


def _fold(module: nn.Module, conv: str, norm: str) -> None:
    """Make a normalisation of the module a part of the convolution before it."""
    before, after = module.get_submodule(conv), module.get_submodule(norm)
    if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
        setattr(module, conv, fuse_conv_bn_eval(before, after))
        setattr(module, norm, nn.Identity())
