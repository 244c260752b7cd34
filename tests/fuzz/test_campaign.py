"""A few seconds of every fuzzer, what the campaign does with a crash, and the fixed ones."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import constriction
import numpy as np
import pytest

from cdsrcodec.errors import DesyncError, FormatError
from tests.fuzz import campaign
from tests.fuzz.campaign import MAX_GROWTH_BYTES, outcome_of, run_fuzzer
from tests.fuzz.forging import forge_stream
from tests.fuzz.fuzzers import FUZZERS, SEEDS, Check, Fuzzer
from tests.fuzz.mutations import RawStream

REGRESSIONS = Path(__file__).parent / "regressions"
SEED_FILES = sorted(SEEDS.glob("*.cdsr"))
# Fuzzer -> number of inputs, and some of the ways to end that so many must reach.
SMOKE: dict[str, tuple[int, set[str]]] = {
    "container": (200, {"decoded", "ChecksumError", "FormatError"}),
    "chunks": (200, {"decoded", "FormatError", "LimitError", "TruncatedStreamError"}),
    "symbols": (60, {"DesyncError", "FormatError"}),
    "pixels": (30, {"decoded", "DesyncError", "FormatError"}),
    "forged": (12, {"decoded"}),
}


@pytest.mark.parametrize("name", FUZZERS)
def test_no_input_of_a_short_campaign_crashes(name: str, tmp_path: Path) -> None:
    cases, reached = SMOKE[name]
    report = run_fuzzer(FUZZERS[name], seed=1, crashes=tmp_path, seconds=600, max_cases=cases)
    assert report.crashes == []
    assert report.executions == report.outcomes.total() == cases
    assert reached <= {outcome.split(" at ")[0] for outcome in report.outcomes}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", SEED_FILES, ids=lambda path: path.stem)
def test_a_seed_is_a_good_file(path: Path) -> None:
    data = path.read_bytes()
    assert outcome_of(FUZZERS["container"], data) == "decoded"
    assert RawStream.split(data).join() == data


@pytest.mark.parametrize("path", sorted(REGRESSIONS.iterdir()), ids=lambda path: path.stem)
def test_an_input_that_crashed_once_does_so_no_more(path: Path) -> None:
    fuzzer, what = path.stem.split("-", 1)
    assert what
    assert outcome_of(FUZZERS[fuzzer], path.read_bytes())


def test_an_input_follows_from_its_seed() -> None:
    for fuzzer in FUZZERS.values():
        assert fuzzer.make(Random(5)) == fuzzer.make(Random(5)) != fuzzer.make(Random(6))


def _raise_index_error(_data: bytes) -> None:
    raise IndexError("as if a list were too short")


def _ask_for_memory(_data: bytes) -> None:
    np.ones(2 * MAX_GROWTH_BYTES, np.uint8)


def _panic(_data: bytes) -> None:
    constriction.stream.model.Uniform(0)  # the Rust coder's, which is no subclass of Exception


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (_raise_index_error, "IndexError"),
        (_ask_for_memory, "_?(Array)?MemoryError"),
        (_panic, "PanicException"),
    ],
)
def test_an_input_that_crashes_is_saved_under_its_name(
    check: Check, error: str, tmp_path: Path
) -> None:
    fuzzer = Fuzzer("broken", lambda _: b"data", check)
    report = run_fuzzer(fuzzer, seed=0, crashes=tmp_path, seconds=600, max_cases=2)
    assert report.executions == 2
    assert len(set(report.crashes)) == 1
    (saved,) = tmp_path.iterdir()
    assert re.fullmatch(rf"broken-{error}-3a6eb079\.cdsr", saved.name)
    assert saved.read_bytes() == b"data"


def test_an_input_that_takes_too_long_is_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "MAX_CASE_S", -1.0)
    fuzzer = Fuzzer("slow", lambda _: b"data", lambda _: None)
    report = run_fuzzer(fuzzer, seed=0, crashes=tmp_path, seconds=600, max_cases=1)
    assert [path.name.split("-")[1] for path in report.crashes] == ["TooSlowError"]


def test_a_refused_forgery_is_a_crash() -> None:
    raw = RawStream.split(forge_stream(Random(1)))
    raw.payload = raw.payload[:-4]
    with pytest.raises(AssertionError, match="a valid stream is refused"):
        FUZZERS["forged"].check(raw.join())


def test_refusals_are_told_apart_by_where_they_were_raised(tmp_path: Path) -> None:
    def refuse(data: bytes) -> None:
        if data == b"a":
            raise FormatError("one", offset=0)
        raise DesyncError("another")

    inputs = iter((b"a", b"b", b"a"))
    fuzzer = Fuzzer("refusing", lambda _: next(inputs), refuse)
    report = run_fuzzer(fuzzer, seed=0, crashes=tmp_path, seconds=600, max_cases=3)
    (first, first_count), (second, second_count) = report.outcomes.most_common()
    assert (first.split(":")[0], first_count) == ("FormatError at fuzz/test_campaign.py", 2)
    assert (second.split(":")[0], second_count) == ("DesyncError at fuzz/test_campaign.py", 1)
