"""Recipes that make the shipped weights, and their export."""
