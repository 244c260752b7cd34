from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cdsrcodec.errors import ModelError
from cdsrcodec.models.registry import CODECS, CodecEntry, codec_named, codec_of_stream


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_is_found_by_its_name_and_by_what_its_streams_say(name: str) -> None:
    entry = codec_named(name)
    assert entry.name == name
    assert codec_of_stream(entry.model_id, entry.entropy_tag()) is entry


def test_no_two_codecs_share_an_id() -> None:
    ids = [entry.model_id for entry in CODECS.values()]
    assert len(set(ids)) == len(ids)
    assert codec_named("cdsr1").model_id == 1


@pytest.mark.parametrize("name", CODECS)
def test_the_tag_is_the_hash_of_the_entropy_file(name: str) -> None:
    entry = codec_named(name)
    digest = hashlib.sha256(entry.entropy_file.read_bytes()).digest()
    assert entry.entropy_tag() == digest[:4]


@pytest.mark.parametrize("name", CODECS)
def test_the_weight_files_of_a_codec_are_shipped(name: str) -> None:
    entry = codec_named(name)
    for file in (entry.entropy_file, entry.encoder_file, entry.decoder_file):
        assert 0 < file.stat().st_size < 20e6, file


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModelError, match=r"no codec 'jpeg'\. hint: use one of cdsr1"):
        codec_named("jpeg")


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"model 200, which this version does not have"):
        codec_of_stream(200, codec_named("cdsr1").entropy_tag())


def test_other_weights_are_refused_by_both_tags() -> None:
    entry = codec_named("cdsr1")
    with pytest.raises(ModelError, match="tag deadbeef") as caught:
        codec_of_stream(entry.model_id, b"\xde\xad\xbe\xef")
    assert entry.entropy_tag().hex() in str(caught.value)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    entry = CodecEntry("other", 9, tmp_path)
    with pytest.raises(ModelError, match=r"the weights cannot be read .* hint: install") as caught:
        entry.entropy_tag()
    assert str(caught.value).startswith(f"{tmp_path / 'entropy.safetensors'}: ")
