"""Tile sizes of the transforms, in latent positions of 16 px.

Receptive fields, one side: g_a 136 px = 8.5 positions, g_s 9.5, the latent
upscaler 10.6 with a trunk of 6 blocks and 1/8 more for each further block.
Whole processes peaked at 1.9 GB for 4x of a 1440x960 picture, and at 0.9 GB for 1x.
"""

from __future__ import annotations

HALO = 12
CORE_1X = 96
CORE_4X = 40
