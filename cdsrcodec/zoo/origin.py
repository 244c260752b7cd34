"""What an installed model says about the checkpoint that it was made of."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from cdsrcodec.models.registry import CodecEntry

ORIGIN_FILE = "origin.json"


@dataclass(frozen=True)
class Origin:
    """Name and SHA-256 (hex) of the checkpoint; None where the model does not tell."""

    file: str | None = None
    sha256: str | None = None

    def to_json(self) -> str:
        """The text of ORIGIN_FILE."""
        return json.dumps(dataclasses.asdict(self)) + "\n"


def origin_of(entry: CodecEntry) -> Origin:
    """The origin of an installed model.

    Neither coding nor the entropy tag rests on it, so a model whose file about it is missing
    or malformed is as good as any, and just does not tell.
    """
    try:
        fields = json.loads((entry.folder / ORIGIN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Origin()
    told = {key: fields.get(key) for key in ("file", "sha256")} if isinstance(fields, dict) else {}
    return Origin(**{key: value for key, value in told.items() if isinstance(value, str)})
