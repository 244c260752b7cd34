"""Codec networks: transforms, entropy models (float and integer), registry."""
