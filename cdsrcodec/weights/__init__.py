"""The weights that are in the package: a folder for each codec and each upscaler of pixels."""

from pathlib import Path

WEIGHTS_FOLDER = Path(__file__).resolve().parent
