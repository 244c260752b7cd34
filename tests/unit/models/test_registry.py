from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdsrcodec.container import Header
from cdsrcodec.errors import ModelError
from cdsrcodec.models import registry
from cdsrcodec.models.registry import (
    CODECS,
    CodecEntry,
    check_settings,
    codec_named,
    entries_of,
    former_entries_of,
    installed,
    qualities_of,
    shipped,
)
from cdsrcodec.models.store import models_folder
from cdsrcodec.models.stream_weights import codec_name_of, codec_of_stream, weights_error_of

HYPERPRIOR = "bmshj2018-hyperprior"
Install = Callable[..., bytes]


def header(model_id: int, tag: bytes, quality: float = 4.0) -> Header:
    return Header(model_id, tag, round((quality - 1) * 32), 16, 16, 0)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Installs an entropy part, of text, as the weights of a quality."""
    monkeypatch.setenv("CDSRCODEC_HOME", str(tmp_path))

    def write(quality: int, metric: str = "mse", text: str = "a") -> bytes:
        tag = hashlib.sha256(text.encode()).digest()[:4]
        folder = models_folder() / registry.model_name(HYPERPRIOR, metric, quality, tag)
        folder.mkdir(parents=True)
        (folder / "entropy.safetensors").write_text(text)
        return tag

    return write


def test_a_shipped_codec_is_found_by_its_name_and_by_what_its_streams_say() -> None:
    entries = shipped()
    assert [(e.name, e.model_id, e.quality) for e in entries] == [
        ("cdsr1", 1, None),
        ("bmshj2018-hyperprior-gain", 4, None),
    ]
    for entry in entries:
        assert entry == codec_named(entry.name) == codec_named(entry.name, 5.5)
        assert codec_of_stream(header(entry.model_id, entry.entropy_tag(), 2.5)) == entry


def test_no_two_codecs_share_an_id() -> None:
    ids = [model_id for codec in CODECS.values() for model_id in codec.model_ids.values()]
    assert sorted(ids) == [1, 2, 3, 4]
    assert codec_named("cdsr1").model_id == 1


def test_the_tag_is_the_hash_of_the_entropy_file() -> None:
    entry = codec_named("cdsr1")
    digest = hashlib.sha256(entry.entropy_file.read_bytes()).digest()
    assert entry.entropy_tag() == digest[:4]


def test_the_weight_files_of_the_shipped_codec_are_there() -> None:
    for file in codec_named("cdsr1").files:
        assert 0 < file.stat().st_size < 20e6, file


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    for find in (codec_named, entries_of, qualities_of, check_settings):
        with pytest.raises(ModelError, match=r"no codec 'jpeg'\. hint: use one of cdsr1, bmshj"):
            find("jpeg")


def test_streams_of_earlier_versions_are_read_with_the_entropy_part_that_wrote_them() -> None:
    current = codec_named("cdsr1")
    formers = former_entries_of("cdsr1")
    assert [former.former_tag for former in formers] == ["72383f26", "b27b82ab"]
    for former in formers:
        assert former.entropy_tag().hex() == former.former_tag
        assert codec_of_stream(header(1, former.entropy_tag())) == former
        assert former not in (*shipped(), *entries_of("cdsr1"))
        assert former.files[1:] == current.files[1:]
        assert former.entropy_tag() != current.entropy_tag()
    own, shared = (former.entropy_file for former in formers)
    assert own.name == "entropy-72383f26.safetensors"
    assert shared == current.entropy_file
    assert former_entries_of(HYPERPRIOR) == []


@pytest.mark.parametrize(
    ("tag", "file"),
    [("72383f26", "entropy-72383f26.safetensors"), ("b27b82ab", "entropy.safetensors")],
)
def test_a_former_entropy_part_that_was_exchanged_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tag: str, file: str
) -> None:
    (tmp_path / "entropy.safetensors").write_text("current")
    (tmp_path / "entropy-72383f26.safetensors").write_text("other")
    monkeypatch.setitem(CODECS, "cdsr1", replace(CODECS["cdsr1"], folder=tmp_path))
    with pytest.raises(ModelError, match=rf"{file}: not the weights"):
        codec_of_stream(header(1, bytes.fromhex(tag)))


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"model 200, which this version does not have"):
        codec_of_stream(header(200, codec_named("cdsr1").entropy_tag()))


def test_a_codec_is_named_without_its_weights() -> None:
    names = [codec_name_of(model_id) for model_id in (1, 2, 3, 200)]
    assert names == ["cdsr1", HYPERPRIOR, HYPERPRIOR, None]


def test_weights_that_are_missing_are_told_without_an_error(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_stream = header(2, install(3), 3)
    assert weights_error_of(of_stream) is None
    message = weights_error_of(header(2, b"\xde\xad\xbe\xef", 3)) or ""
    assert message.endswith("models pull bmshj2018-hyperprior -q 3 --metric mse, "
                            "or models import the checkpoint")  # fmt: skip
    assert "hint: upgrade" in (weights_error_of(header(200, b"abcd")) or "")
    models_folder().rename(models_folder().with_name("elsewhere"))
    models_folder().write_text("a file")
    assert "cannot be read" in (weights_error_of(of_stream) or "")


def test_other_weights_are_refused_by_both_tags() -> None:
    entry = codec_named("cdsr1")
    with pytest.raises(ModelError, match="tag deadbeef") as caught:
        codec_of_stream(header(entry.model_id, b"\xde\xad\xbe\xef"))
    assert entry.entropy_tag().hex() in str(caught.value)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    entry = CodecEntry("other", 9, tmp_path)
    with pytest.raises(ModelError, match=r"the weights cannot be read .* hint: install") as caught:
        entry.entropy_tag()
    assert str(caught.value).startswith(f"{tmp_path / 'entropy.safetensors'}: ")


def test_installed_weights_are_found_by_their_settings_and_by_their_streams(
    install: Install,
) -> None:
    tags = {(q, m): install(q, m, f"{q} {m}") for q in (2, 7) for m in ("mse", "ms-ssim")}
    assert len(installed()) == 4
    for (quality, metric), tag in tags.items():
        entry = codec_named(HYPERPRIOR, quality, metric=metric)
        assert entry.entropy_tag() == tag
        assert codec_of_stream(header(2 if metric == "mse" else 3, tag, quality)) == entry
    assert qualities_of(HYPERPRIOR) == (2.0, 7.0)
    assert len(qualities_of("cdsr1")) == 225


def test_weights_that_are_not_installed_are_named_with_the_way_to_get_them(
    install: Install,
) -> None:
    with pytest.raises(ModelError, match=r"no weights of .* for mse are installed\. hint: cdsr"):
        qualities_of(HYPERPRIOR)
    install(3)
    hint = (
        "hint: cdsrcodec models pull bmshj2018-hyperprior -q 5 --metric ms-ssim, or models import"
    )
    with pytest.raises(ModelError, match=f"no weights of .* quality 5 and ms-ssim .*{hint}"):
        codec_named(HYPERPRIOR, 5, metric="ms-ssim")
    with pytest.raises(ModelError, match=f"quality 5 and ms-ssim, tag deadbeef, .*{hint}"):
        codec_of_stream(header(3, b"\xde\xad\xbe\xef", 5))


def test_a_stream_is_read_with_weights_of_its_own_quality_alone(install: Install) -> None:
    tag = install(3)
    for wrong in (header(2, tag, 4), header(2, tag, 3.5), header(3, tag, 3)):
        with pytest.raises(ModelError, match="which are not installed"):
            codec_of_stream(wrong)
    assert codec_of_stream(header(2, tag, 3)).entropy_tag() == tag


def test_several_weights_read_but_only_one_encodes(install: Install) -> None:
    tags = [install(3, text="a"), install(3, text="b")]
    assert [codec_of_stream(header(2, tag, 3)).entropy_tag() for tag in tags] == tags
    with pytest.raises(ModelError, match=r"several weights fit, bmshj.* and bmshj.*models remove"):
        codec_named(HYPERPRIOR, 3)


def test_installed_weights_that_were_changed_are_refused_with_what_mends_them(
    install: Install,
) -> None:
    tag, other_tag = install(3), install(3, text="b")
    entry = codec_of_stream(header(2, tag, 3))
    registry._file_tag.cache_clear()
    entry.entropy_file.write_text("other")
    wrong = rf"not the weights that were installed.* models remove {entry.folder.name}, and pull"
    for use in (entry.entropy_tag, lambda: codec_of_stream(header(2, tag, 3))):
        with pytest.raises(ModelError, match=wrong):
            use()
    assert codec_of_stream(header(2, other_tag, 3)).entropy_tag() == other_tag


def test_other_folders_beside_the_models_are_passed_over(install: Install) -> None:
    install(3)
    for name in (".new-1", "notes", "bmshj2018-hyperprior-mse-3-xyz", "cdsr1-mse-3-00000000"):
        (models_folder() / name).mkdir()
    (models_folder() / "bmshj2018-hyperprior-mse-4-00000000").write_text("a file")
    assert [entry.quality for entry in installed()] == [3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quality": 4.5}, "must be a whole number, not 4.5"),
        ({"quality": 9}, "quality must be 1 to 8, not 9"),
        ({"metric": "vmaf"}, "has weights for mse and ms-ssim, not vmaf"),
        ({"effort": 1}, "effort must be 0 with bmshj2018-hyperprior, not 1"),
    ],
)
def test_settings_that_the_codec_does_not_have_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    check_settings(HYPERPRIOR, quality=4, metric="ms-ssim")
    with pytest.raises(ValueError, match=message):
        check_settings(HYPERPRIOR, **settings)


def test_settings_of_the_shipped_codec_are_checked_too() -> None:
    check_settings("cdsr1", quality=4.5, effort=9)
    with pytest.raises(ValueError, match="cdsr1 has weights for mse, not ms-ssim"):
        check_settings("cdsr1", metric="ms-ssim")
