"""The losses of SRGAN: a discriminator beside the network, both trained in one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from cdsrcodec.training.vgg import VggFeatures

WIDTH = 32  # of the published discriminator 64
SLOPE = 0.2
PIXEL_WEIGHT = 0.01  # beside features


class Discriminator(nn.Sequential):
    """Tells large photographs from enlarged ones: (B, 3, H, W) -> (B,) logits, high for real.

    Source: Ledig et al. 2017, arXiv:1609.04802. Differs: half as wide, no batch
    normalisation, and a mean over positions in the place of the layers that fix the size.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(4):
            for stride in (1, 2):
                wide = WIDTH << stage
                layers += [nn.Conv2d(channels, wide, 3, stride, 1), nn.LeakyReLU(SLOPE)]
                channels = wide
        head = nn.Conv2d(channels, 1, 1)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), head, nn.Flatten(0))


class AdversarialObjective(nn.Module):
    """A 4x network of pixels, its discriminator and the loss of both.

    Content + weight * adversarial loss for the network, cross-entropy for the discriminator.
    Either sees the other as a constant, so one backward pass serves both. The content loss
    is the L1 distance of the pixels; with `features`, a hundredth of it beside theirs.

    Args:
        upscaler: x (B, 3, P, P) to x_sr (B, 3, 4P, 4P).
        weight: of the adversarial loss.
        features: a frozen network that features are compared of; None to compare pixels.

    Source: as the discriminator; the mixture with features is that of ESRGAN (Wang et al.
    2018, arXiv:1809.00219), but for their distance, which is relative here.
    """

    def __init__(
        self, upscaler: nn.Module, weight: float, features: VggFeatures | None = None
    ) -> None:
        super().__init__()
        self.upscaler = upscaler
        self.discriminator = Discriminator()
        self.weight = weight
        self.features = features

    def forward(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (LR patches (B, 3, P, P), HR patches (B, 3, 4P, 4P)), both in [0, 1]."""
        x, x_hr = batch
        x_sr = self.upscaler(x).float()
        constant = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        adversarial = F.softplus(-functional_call(self.discriminator, constant, (2 * x_sr - 1,)))
        real = self.discriminator(2 * x_hr - 1)
        fake = self.discriminator(2 * x_sr.detach() - 1)
        judgement = (F.softplus(-real) + F.softplus(fake)).mean()
        error = x_sr - x_hr
        content = error.abs().mean()
        if self.features is not None:
            content = PIXEL_WEIGHT * content + self.features.distance(x_sr, x_hr)
        loss = content + self.weight * adversarial.mean() + judgement
        psnr_rgb_db = -10 * error.detach().square().mean((1, 2, 3)).log10().mean()
        told_apart = torch.cat([real > 0, fake < 0]).float().mean()
        return loss, {"psnr_rgb_db": psnr_rgb_db, "told_apart": told_apart}
