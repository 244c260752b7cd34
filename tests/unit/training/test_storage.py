"""Files of a run: damaged ones, dangerous ones, full disks."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cdsrcodec.errors import FileAccessError, TrainingError
from cdsrcodec.training.log import RunLog
from cdsrcodec.training.storage import read_checkpoint, write_checkpoint, write_tensors

CPU = torch.device("cpu")
FULL_DISK = Path("/dev/full")


class Code:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def saved(state: object) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


GOOD = saved({"weights": torch.ones(1000), "step": 3})
DAMAGED = {
    "empty": b"",
    "three bytes": GOOD[:3],
    "cut in its header": GOOD[:500],
    "cut at its end": GOOD[:-100],
    "text": b"this is no checkpoint",
    "a list": saved([1, 2]),
}


def check_refusal(path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        read_checkpoint(path, CPU)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a checkpoint")
    assert message.endswith(" hint: remove it to start anew")
    assert "\n" not in message


def test_a_checkpoint_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    state = {"weights": {"a": torch.rand(3)}, "norms": [0.5, 2.0], "step": 7}
    write_checkpoint(path, state)
    read = read_checkpoint(path, CPU)
    assert torch.equal(read["weights"]["a"], state["weights"]["a"])  # type: ignore[index]
    assert (read["norms"], read["step"]) == ([0.5, 2.0], 7)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(data)
    check_refusal(path)


@pytest.mark.parametrize("write", [saved, pickle.dumps], ids=["torch", "plain pickle"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(
    tmp_path: Path, write: Callable[[object], bytes]
) -> None:
    path, made = tmp_path / "checkpoint.pt", tmp_path / "made by the code"
    path.write_bytes(write({"step": Code(made)}))
    check_refusal(path)
    assert not made.exists()


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_memory_that_runs_out_is_not_blamed_on_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(MemoryError):
        read_checkpoint(tmp_path / "checkpoint.pt", CPU)


@pytest.mark.skipif(not FULL_DISK.exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line_and_keeps_the_older_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(GOOD)
    path.with_name(".checkpoint.pt.tmp").symlink_to(FULL_DISK)
    with pytest.raises(FileAccessError) as caught:
        write_checkpoint(path, {"weights": torch.ones(10**6)})
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be written: ")
    assert "\n" not in message
    assert path.read_bytes() == GOOD
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.skipif(not FULL_DISK.exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line_for_the_log_too(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.symlink_to(FULL_DISK)
    with pytest.raises(FileAccessError, match=f"^{path}: cannot be written: No space .* hint: "):
        RunLog(path).add({"step": 1, "loss": 0.5})


def test_who_may_read_new_files_may_read_the_weights(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain", tmp_path / "x.safetensors"
    plain.touch()
    write_tensors(path, {"x": torch.ones(3)})
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "x.safetensors"
    for write in (write_tensors, write_checkpoint):
        with pytest.raises(FileAccessError) as caught:
            write(path, {"x": torch.ones(3)})
        assert str(caught.value).startswith(f"{path}: cannot be written: ")
        assert "\n" not in str(caught.value)


def test_no_other_file_is_taken_for_a_checkpoint_that_is_not_whole_yet(tmp_path: Path) -> None:
    other = tmp_path / "model.pth.tmp"
    other.write_bytes(b"of the user")
    write_checkpoint(tmp_path / "model.pth.tar", {"weights": torch.ones(3)})
    assert other.read_bytes() == b"of the user"
