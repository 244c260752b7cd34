"""The kinds of chunks that this program writes and reads; docs/format.md defines them."""

from __future__ import annotations

ALPHA = b"ALPH"
ICC_PROFILE = b"iccp"
EXIF = b"exif"
XMP = b"xmpm"
ORIGIN = b"orig"
RESOLUTION = b"phys"
FULL_SIZE = b"full"

# In the order in which they are written.
REGISTERED = (ALPHA, ORIGIN, FULL_SIZE, RESOLUTION, ICC_PROFILE, EXIF, XMP)
# The critical ones among them: a file with any other such kind is refused.
UNDERSTOOD = frozenset({ALPHA})
