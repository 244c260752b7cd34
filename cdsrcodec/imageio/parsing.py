"""What Pillow's parsers of pictures raise, as errors of this package."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from cdsrcodec.errors import FileAccessError, InputImageError, LimitError

# What a failing disk or share, and a limit of open files, say in the middle of a file: nothing
# is wrong with the picture.
_OUTER_ERRORS = {
    errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ETIMEDOUT
}  # fmt: skip


@contextmanager
def parser_errors() -> Iterator[None]:
    """Let nothing but CdsrErrors and MemoryError out of Pillow's parsers, and no warnings.

    On damaged bytes these raise about every exception there is (Pillow's own
    fuzzers expect just Exception), so only calls into them belong in here.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:
        raise LimitError(
            "more pixels than Pillow agrees to open. hint: cut the picture into parts or reduce it"
        ) from error
    except UnidentifiedImageError as error:
        raise InputImageError(
            "not an image, or in a format that cannot be read here. hint: convert it to PNG first"
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OUTER_ERRORS:
            raise FileAccessError(f"cannot be read: {error.strerror}") from error
        raise InputImageError(f"the image is damaged or cut short: {error}") from error
