"""What a codec is trained to keep low beside its rate, and how much that weighs."""

from __future__ import annotations

import torch
from pytorch_msssim import ms_ssim
from torch import Tensor

from cdsrcodec.models import cdsr1

LMBDAS = {
    "mse": cdsr1.LMBDAS,
    "ms-ssim": (2.40, 4.58, 8.73, 16.64, 31.73, 60.50, 115.37, 220.00),
}
"""RD weights of qualities 1..8, by metric, as CompressAI's zoo was trained."""
MIDDLE = 3
"""Level (quality - 1) whose weight the others are compared with."""


def distortion(x_hat: Tensor, x: Tensor, metric: str) -> tuple[Tensor, dict[str, Tensor]]:
    """What LMBDAS weigh, and figures of it for the log.

    Args:
        x_hat: (B, 3, H, W), nominally [0, 1].
        x: the same shape, in [0, 1]; sides above 160 for "ms-ssim".
        metric: "mse" for 255^2 * MSE, "ms-ssim" for 1 - MS-SSIM.

    Returns:
        Distortions (B,) in float32; the mean PSNR and, where it is trained for, MS-SSIM.

    Source: the losses of CompressAI (Begaint et al. 2020, arXiv:2011.03029).
    """
    x_hat = x_hat.float()
    mse = (x_hat - x).square().mean((1, 2, 3))
    figures = {"psnr_rgb_db": -10 * mse.detach().log10().mean()}
    if metric == "mse":
        return 255**2 * mse, figures
    with torch.autocast(x.device.type, enabled=False):  # its variances are small differences
        similarity: Tensor = ms_ssim(x_hat, x, data_range=1.0, size_average=False)
    return 1 - similarity, figures | {"ms_ssim": similarity.detach().mean()}
