from __future__ import annotations

import torch

from cdsrcodec.layers.gdn import Gdn


def test_each_channel_is_divided_by_the_root_of_what_all_of_them_give() -> None:
    gdn = Gdn(2)
    with torch.no_grad():
        gdn.beta.copy_(torch.tensor([1.0, 4.0]))
        gdn.gamma.copy_(torch.tensor([[0.0, 3.0], [5.0, 0.0]])[:, :, None, None])
        x = torch.tensor([2.0, -1.0])[None, :, None, None]
        out = gdn(x).flatten()
    # Roots of 1 + 3 * 1 and 4 + 5 * 4.
    assert torch.allclose(out, torch.tensor([2 / 2, -1 / 24**0.5]))


def test_the_inverse_multiplies_by_the_same_root() -> None:
    torch.manual_seed(0)
    forward, inverse = Gdn(5), Gdn(5, inverse=True)
    x = torch.randn(1, 5, 3, 2)
    with torch.no_grad():
        product = forward(x) * inverse(x)
    assert torch.allclose(product, x * x, atol=1e-6)
