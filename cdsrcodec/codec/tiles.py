"""Tile sizes of the networks: in latent positions of 16 px, and in pixels for those of pixels.

Receptive fields, one side: g_a 136 px = 8.5 positions, g_s 9.5, the latent
upscaler 10.6 with a trunk of 6 blocks and 1/8 more for each further block.
Whole processes peaked at 1.9 GB for 4x of a 1440x960 picture, and at 0.9 GB for 1x.

RRDBNet's receptive field is over 350 px, but what is far counts next to nothing: with a
halo of 32 px a photograph in tiles differed from it in one piece by 3 grey levels at
most, by more than one in 0.06 % of the samples; with the usual 10 px by up to 36.
"""

from __future__ import annotations

HALO = 12
CORE_1X = 96
CORE_4X = 40

PIXEL_CORE_PX = 192
ESRGAN_HALO_PX = 32  # the others say theirs: PixelEnlarger.reach_px
