"""Recipes that make the shipped weights. Needs the extra `train`."""
