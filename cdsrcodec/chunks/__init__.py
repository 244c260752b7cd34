"""What chunks hold: alpha plane, metadata, what the source was. Format: docs/format.md."""
