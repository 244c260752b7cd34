"""Lets the codec run in processes that are forked from one in which it has run.

A fork has the memory of the threads that torch shares its work among, but not the threads;
OpenMP would wait for them for ever. A process with one thread needs none of them.
"""

from __future__ import annotations

import os

import torch


def _use_one_thread() -> None:
    torch.set_num_threads(1)  # as torch's own DataLoader does in its workers


def make_forks_safe() -> None:
    """From here on, a fork of this process uses one CPU thread, unless it asks for more."""
    if hasattr(os, "register_at_fork"):  # there are no forks on Windows
        os.register_at_fork(after_in_child=_use_one_thread)
