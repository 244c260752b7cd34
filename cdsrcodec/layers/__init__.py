"""Torch blocks and exact integer convolutions that the networks share."""
