"""Float transforms of `bmshj2018-hyperprior`: g_a, h_a and g_s.

    x --g_a--> y --|.|, h_a--> z
    y_hat --g_s--> x_hat

One network a quality, so there is neither a gain nor anything that knows the level.
The names of the parameters are those of CompressAI's checkpoints.

Source: Balle et al. 2018, arXiv:1802.01436, in the sizes of CompressAI's zoo.
"""

from __future__ import annotations

from torch import Tensor, nn

from cdsrcodec.layers.gdn import Gdn
from cdsrcodec.models.interface import DecoderNetwork, EncoderNetwork

SMALL_CHANNELS, LARGE_CHANNELS = (128, 192), (192, 320)
LAST_SMALL_QUALITY = 5
RGB_CHANNELS = 3


def channels_at(quality: float) -> tuple[int, int]:
    """Channels of the hidden layers and z, and of the latent (the papers' N, M) at 1..8."""
    return SMALL_CHANNELS if quality <= LAST_SMALL_QUALITY else LARGE_CHANNELS


def _down(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Half the size: (B, in, H, W) -> (B, out, ceil(H/2), ceil(W/2))."""
    return nn.Conv2d(in_channels, out_channels, 5, stride=2, padding=2)


def _up(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """Twice the size: (B, in, H, W) -> (B, out, 2H, 2W)."""
    return nn.ConvTranspose2d(in_channels, out_channels, 5, stride=2, padding=2, output_padding=1)


class HyperpriorEncoder(EncoderNetwork):
    """What encoding runs in float: g_a and h_a.

    Args:
        hidden_channels: of all layers but the latent, z included.
        latent_channels: of y.
    """

    def __init__(self, hidden_channels: int, latent_channels: int) -> None:
        super().__init__()
        self.g_a = nn.Sequential(
            _down(RGB_CHANNELS, hidden_channels),
            Gdn(hidden_channels),
            _down(hidden_channels, hidden_channels),
            Gdn(hidden_channels),
            _down(hidden_channels, hidden_channels),
            Gdn(hidden_channels),
            _down(hidden_channels, latent_channels),
        )
        self.h_a = nn.Sequential(
            nn.Conv2d(latent_channels, hidden_channels, 3, padding=1),
            nn.ReLU(),
            _down(hidden_channels, hidden_channels),
            nn.ReLU(),
            _down(hidden_channels, hidden_channels),
        )

    def features(self, x: Tensor) -> Tensor:
        """The whole of g_a: (B, 3, H, W) in [0, 1] to y (B, M, H/16, W/16)."""
        y: Tensor = self.g_a(x)
        return y

    def to_latent(self, features: Tensor, level: Tensor) -> Tensor:
        """The same."""
        return features

    def to_hyper(self, y_gained: Tensor) -> Tensor:
        """Z (B, N, ceil(h/4), ceil(w/4)) of the latent's magnitudes."""
        z: Tensor = self.h_a(y_gained.abs())
        return z


class HyperpriorSynthesis(nn.Sequential):
    """g_s: (B, M, H/16, W/16) to (B, 3, H, W). Arguments as of HyperpriorEncoder.

    In halves and with scales (sr.latent.Synthesis) it is where a 4x decoder begins.

    Attributes:
        channels16, channels8: of what the scales are for.
        channels4: of the features between the halves.
    """

    def __init__(self, hidden_channels: int, latent_channels: int) -> None:
        super().__init__(
            _up(latent_channels, hidden_channels),
            Gdn(hidden_channels, inverse=True),
            _up(hidden_channels, hidden_channels),
            Gdn(hidden_channels, inverse=True),
            _up(hidden_channels, hidden_channels),
            Gdn(hidden_channels, inverse=True),
            _up(hidden_channels, RGB_CHANNELS),
        )
        self.channels16 = latent_channels
        self.channels8 = self.channels4 = hidden_channels

    def features4(self, y_hat: Tensor, scale16: Tensor, scale8: Tensor) -> Tensor:
        """(B, N, H/4, W/4) features of y_hat times scale16; scale8 is for those at H/8."""
        up8, gdn8, up4, gdn4, *_ = self
        features: Tensor = gdn4(up4(gdn8(up8(y_hat * scale16)) * scale8))
        return features

    def to_pixels(self, features4: Tensor) -> Tensor:
        """(B, N, H/4, W/4) features to the (B, 3, H, W) picture."""
        *_, up2, gdn2, up1 = self
        x_hat: Tensor = up1(gdn2(up2(features4)))
        return x_hat


class HyperpriorDecoder(DecoderNetwork):
    """What native decoding runs in float: g_s. Arguments as of HyperpriorEncoder."""

    def __init__(self, hidden_channels: int, latent_channels: int) -> None:
        super().__init__()
        self.g_s = HyperpriorSynthesis(hidden_channels, latent_channels)

    def dequantise(self, y_hat_gained: Tensor, level: Tensor) -> Tensor:
        """The same: the steps of the rounding are 1."""
        return y_hat_gained

    def forward(self, y_hat: Tensor, level: Tensor) -> Tensor:
        """x_hat (B, 3, H, W) of y_hat (B, M, H/16, W/16)."""
        x_hat: Tensor = self.g_s(y_hat)
        return x_hat
