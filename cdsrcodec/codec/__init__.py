"""The codec in memory: pixels to stream, stream to latent, latent to pixels.

    encode: x --g_a, gain--> y --h_a--> z --walk--> symbols --ANS--> stream
                             y --effort--> y, refined for this very picture
    decode: stream --ANS, walk--> y_hat --g_s or upscaler--> pixels

Transforms run on the device, in float. Everything that decides which symbols
are read runs in integers on the CPU (models.integer_prior), whatever the device.
"""

from cdsrcodec.codec.decoding import decode_pixels, decode_symbols
from cdsrcodec.codec.encoding import encode_pixels
from cdsrcodec.codec.enlarging import enlarge_pixels
from cdsrcodec.codec.forking import make_forks_safe
from cdsrcodec.codec.loading import resolve_device
from cdsrcodec.codec.pictures import decode_picture
from cdsrcodec.codec.targets import Target
from cdsrcodec.layers.tiling import OnStep

__all__ = [
    "OnStep",
    "Target",
    "decode_picture",
    "decode_pixels",
    "decode_symbols",
    "encode_pixels",
    "enlarge_pixels",
    "resolve_device",
]

make_forks_safe()
