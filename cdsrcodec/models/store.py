"""Where installed models lie: a folder each, named by what is in it.

    <home>/models/bmshj2018-hyperprior-mse-4-9f3a7c51/{entropy,encoder,decoder}.safetensors

How they come and go is `models.installing`.
"""

from __future__ import annotations

import os
from pathlib import Path

from cdsrcodec.errors import FileAccessError

HOME_VARIABLE = "CDSRCODEC_HOME"
HIDDEN = "."
"""Begins the name of a folder that is not whole yet, or any more."""


def home_folder() -> Path:
    """$CDSRCODEC_HOME, or cdsrcodec in $XDG_DATA_HOME, or in ~/.local/share.

    As the XDG rules have it, a variable that is empty, or a relative XDG_DATA_HOME, counts as
    not set.

    Raises:
        FileAccessError: none is set, and the user has no home folder.
    """
    if home := os.environ.get(HOME_VARIABLE):
        return Path(home)
    data_home = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():
        try:
            data_home = Path.home() / ".local" / "share"
        except RuntimeError as error:  # of a user that no list of users knows, as in a container
            raise FileAccessError(
                f"models have no place: no home folder is known. hint: {HOME_VARIABLE} names one"
            ) from error
    return data_home / "cdsrcodec"


def models_folder() -> Path:
    """Where the folders of models are; it need not exist."""
    return home_folder() / "models"


def installed_folders() -> list[Path]:
    """Folders of all installed models, by name.

    Raises:
        FileAccessError: they cannot be listed.
    """
    folder = models_folder()
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(HIDDEN)]
        return sorted(path for path in found if path.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FileAccessError(
            f"{folder}: cannot be read: {error.strerror}. hint: {HOME_VARIABLE} names another"
        ) from error
