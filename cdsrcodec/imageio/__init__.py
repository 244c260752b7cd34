"""Pixels <-> picture files, with Pillow and numpy."""
