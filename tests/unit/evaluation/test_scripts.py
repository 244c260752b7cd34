from __future__ import annotations

import pytest

from cdsrcodec.errors import LimitError
from cdsrcodec.evaluation.scripts import exit_code


def test_the_exit_code_is_that_of_the_error_or_the_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise LimitError("too large. hint: use a smaller one")

    assert exit_code(lambda: None) == 0
    assert exit_code(lambda: 1) == 1
    assert exit_code(fail) == 8
    assert capsys.readouterr().err == "error: too large. hint: use a smaller one\n"
