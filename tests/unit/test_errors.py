"""Errors as other processes give them."""

from __future__ import annotations

import inspect
import pickle

import pytest

from cdsrcodec import errors
from cdsrcodec.errors import CdsrError, FormatError

KINDS = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, CdsrError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_arrives_from_a_process_pool_as_it_was(kind: type[CdsrError]) -> None:
    is_format = issubclass(kind, FormatError)
    error = kind("too short", offset=7) if issubclass(kind, FormatError) else kind("too short")
    error.args = (f"cat.cdsr: {error}",)  # as functions of files begin it
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error) == f"cat.cdsr: too short{' (byte 7)' if is_format else ''}"
    assert vars(copy) == vars(error) == ({"offset": 7} if is_format else {})
