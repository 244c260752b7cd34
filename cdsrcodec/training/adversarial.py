"""The losses of SRGAN and ESRGAN: a discriminator beside the network, both trained in one step."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from cdsrcodec.sr.registry import UPSCALE
from cdsrcodec.training.vgg import VggFeatures

WIDTH = 32  # of the published discriminator 64
SLOPE = 0.2
WINDOW_PX = 128
"""Side of what is judged and of what features are compared of, ESRGAN's patches. VGG-16 takes as
long for four times the pixels as all else in a step; the latent needs larger patches for their
context. Windows lie anywhere, so that no stride is always at the same phase of the pixel shuffles:
where the discriminator saw whole patches, networks made patterns of 4 px that content rules."""
GRID_WEIGHT = 20.0
"""Of grid_loss. Without it 272 steps of these losses left a grid on skies and dark walls."""
GRID_CELLS = (32, 8, 4)
"""Sides of the windows, in cells of 4 pixels, over which a grid is looked for: large ones find a
faint one on a sky, small ones the one that changes with the texture that it is drawn on."""


class LossWeights(NamedTuple):
    """What the parts of a 4x network's loss count; the defaults are ESRGAN's.

    Attributes:
        pixels: of their L1 distance.
        features: of the distance of VGG-16's features; at 0 they are not computed.
        adversarial: of the loss that the discriminator causes.
    """

    pixels: float = 0.01
    features: float = 1.0
    adversarial: float = 0.005


class Discriminator(nn.Sequential):
    """Tells large photographs from enlarged ones: (B, 3, H, W) -> (B,) logits, high for real.

    Source: Ledig et al. 2017, arXiv:1609.04802. Differs: half as wide, no batch
    normalisation, a mean over positions in the place of the layers that fix the size, and
    kernels of 4x4 where it strides, as ESRGAN's code has them: gradients through 3x3 ones reach
    every other pixel more often.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(4):
            for stride in (1, 2):
                wide = WIDTH << stage
                layers += [nn.Conv2d(channels, wide, 2 + stride, stride, 1), nn.LeakyReLU(SLOPE)]
                channels = wide
        head = nn.Conv2d(channels, 1, 1)
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), head, nn.Flatten(0))


def same_window(x: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """One square of WINDOW_PX, or what there is, at random out of both (B, 3, H, W)."""
    spare = [max(0, side - WINDOW_PX) for side in x.shape[-2:]]
    top, left = (int(torch.randint(count + 1, ())) for count in spare)
    rows, columns = slice(top, top + WINDOW_PX), slice(left, left + WINDOW_PX)
    return x[..., rows, columns], reference[..., rows, columns]


def grid_loss(error: Tensor) -> Tensor:
    """How much of an error (B, 3, 4H, 4W) repeats with every pixel of the small picture.

    Pixel shuffles and the strides of the networks that judge both make such grids, of an
    amplitude that hardly shows in L1 but well to the eye. It is the mean magnitude of what
    the 16 phases of a window have apart. A photograph has some, too, by its edges and its noise:
    of edges the network knows, and noise has no sign that it could guess, so that none is best.
    """
    phases = F.pixel_unshuffle(error, UPSCALE)
    phases = phases.view(len(phases), 3, UPSCALE**2, *phases.shape[-2:])
    parts = []
    for cells in GRID_CELLS:
        height, width = (min(cells, side) for side in phases.shape[-2:])
        means = F.avg_pool3d(phases, (1, height, width), ceil_mode=True)
        parts.append((means - means.mean(2, keepdim=True)).abs().mean())
    return torch.stack(parts).mean()


class AdversarialObjective(nn.Module):
    """A 4x network, its discriminator and the loss of both.

    Content, grid_loss in it, + weight * adversarial loss for the network, cross-entropy for
    the discriminator. Either sees the other as a constant, so one backward pass serves both.

    Judged on its own (SRGAN), a picture is real by its logit C(x). Judged by the relativistic
    average (ESRGAN), real pictures r are more real than the mean enlarged one f and the other
    way round, D(r, f) = sigmoid(C(r) - E[C(f)]), and the network's loss has both terms with
    the parts exchanged. Means are over the patches of one process.

    Args:
        upscaler: takes all of a batch but its last element, and gives x_sr (B, 3, 4P, 4P).
        weights: of the parts of the network's loss.
        features: a frozen network that features are compared of; None to compare pixels alone.
        relativistic: how pictures are judged.

    Source: as the discriminator; ESRGAN (Wang et al. 2018, arXiv:1809.00219) but for the
    distance of features, which is relative here.
    """

    def __init__(
        self,
        upscaler: nn.Module,
        weights: LossWeights,
        features: VggFeatures | None = None,
        *,
        relativistic: bool = False,
    ) -> None:
        super().__init__()
        self.upscaler = upscaler
        self.discriminator = Discriminator()
        self.weights = weights
        self.features = features
        self.relativistic = relativistic

    def forward(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of (what the upscaler reads..., HR patches (B, 3, 4P, 4P) in [0, 1])."""
        *inputs, x_hr = batch
        x_sr = self.upscaler(*inputs).float()
        seen_sr, seen_hr = same_window(x_sr, x_hr)
        real, fake = self._judge(seen_hr), self._judge(seen_sr.detach())
        adversarial = self._adversarial(real.detach(), seen_sr)
        judgement = self._cross_entropy(real, fake)
        error = x_sr - x_hr
        content = self.weights.pixels * error.abs().mean() + GRID_WEIGHT * grid_loss(error)
        if self.features is not None:
            content = content + self.weights.features * self.features.distance(seen_sr, seen_hr)
        loss = content + self.weights.adversarial * adversarial + judgement
        metrics = {
            "psnr_rgb_db": -10 * error.detach().square().mean((1, 2, 3)).log10().mean(),
            "told_apart": self._told_apart(real.detach(), fake.detach()),
        }
        return loss, metrics

    def _judge(self, x: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(2 * x - 1)
        return logits.float()

    def _adversarial(self, real: Tensor, x_sr: Tensor) -> Tensor:
        """Loss that falls as the discriminator, here a constant, takes x_sr for real."""
        constant = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        fake = functional_call(self.discriminator, constant, (2 * x_sr - 1,)).float()
        if self.relativistic:
            return self._cross_entropy(fake, real)
        return F.softplus(-fake).mean()

    def _cross_entropy(self, real: Tensor, fake: Tensor) -> Tensor:
        """Of logits, (B,) each, of what is to be judged real and fake."""
        real_margin, fake_margin = self._margins(real, fake)
        return F.softplus(-real_margin).mean() + F.softplus(fake_margin).mean()

    def _margins(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """What the sigmoid is taken of."""
        if not self.relativistic:
            return real, fake
        return real - fake.mean(), fake - real.mean()

    def _told_apart(self, real: Tensor, fake: Tensor) -> Tensor:
        """Share of the pictures that are judged rightly."""
        real_margin, fake_margin = self._margins(real, fake)
        return torch.cat([real_margin > 0, fake_margin < 0]).float().mean()
