"""The plan of a batch: which file goes where, known before anything is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest

from cdsrcodec.cli.plan import (
    ENLARGEABLE,
    PICTURES,
    STREAMS,
    Plan,
    check_template,
    plan_jobs,
    split_list,
)

OUT = Path("out")


def make_plan(*inputs: str | Path, **settings: Any) -> Plan:  # noqa: ANN401
    defaults = {"template": "{stem}.cdsr", "kind": PICTURES, "recursive": True}
    return plan_jobs(map(Path, inputs), **{"folder": OUT, **defaults, **settings})


def plan(*inputs: str | Path, **settings: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """Sources and targets of the plan, as text."""
    return [(str(job.source), str(job.target)) for job in make_plan(*inputs, **settings).jobs]


def sources(*inputs: str, **settings: Any) -> list[str]:  # noqa: ANN401
    """Names of the files that are taken."""
    return [job.source.name for job in make_plan(*inputs, **settings).jobs]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a picture, and a folder of pictures and other files."""
    names = ["a.png", "in/c.PNG", "in/b.jpg", "in/notes.txt", "in/.hidden.png", "in/deep/er/d.webp"]
    names += ["in/.cache/e.png", "in/f.cdsr"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_named_files_go_to_the_folder_in_their_order() -> None:
    assert plan("x/b.png", "a.jpg", "no-extension") == [
        ("x/b.png", "out/b.cdsr"),
        ("a.jpg", "out/a.cdsr"),
        ("no-extension", "out/no-extension.cdsr"),
    ]


def test_a_folder_keeps_its_structure_and_gives_only_visible_pictures(tree: Path) -> None:
    assert plan("a.png", "in") == [
        ("a.png", "out/a.cdsr"),
        ("in/b.jpg", "out/b.cdsr"),
        ("in/c.PNG", "out/c.cdsr"),
        ("in/deep/er/d.webp", "out/deep/er/d.cdsr"),
    ]


def test_a_folder_of_streams_is_searched_for_streams(tree: Path) -> None:
    jobs = plan("in", template="{stem}.png", kind=STREAMS)
    assert jobs == [("in/f.cdsr", "out/f.png")]


def test_a_folder_that_gets_its_own_outputs_is_searched(tree: Path) -> None:
    made = plan_jobs([Path("in")], Path("in"), template="{stem}.x", kind=PICTURES, recursive=True)
    assert [str(job.target) for job in made.jobs] == ["in/b.x", "in/c.x", "in/deep/er/d.x"]


def test_a_folder_without_r_is_wrong_usage(tree: Path) -> None:
    with pytest.raises(click.UsageError, match=r"^in: a directory\. hint: -r "):
        plan("a.png", "in", recursive=False)


@pytest.mark.parametrize("closed", ["in", "in/deep"])
def test_a_folder_that_cannot_be_read_is_noted_and_the_others_are_searched(
    tree: Path, monkeypatch: pytest.MonkeyPatch, closed: str
) -> None:
    scan = os.scandir

    def refuse(path: str) -> Any:  # noqa: ANN401
        if Path(path) == Path(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    made = make_plan("in", "a.png")
    ((job, error),) = made.unreadable
    assert str(error) == f"{closed}: cannot be read: Permission denied"
    assert (job.source, job.target) == (Path(closed), OUT / Path(closed).relative_to("in"))
    expected = ["a.png"] if closed == "in" else ["in/b.jpg", "in/c.PNG", "a.png"]
    assert [str(job.source) for job in made.jobs] == expected
    assert made.empty == []


def test_pictures_that_cannot_be_read_here_are_noted_and_other_files_are_not(tree: Path) -> None:
    for name in ("in/x.HEIC", "in/deep/y.dng", "in/.z.jxl"):
        (tree / name).touch()
    assert make_plan("in").left_out == [Path("in/x.HEIC"), Path("in/deep/y.dng")]
    assert make_plan("in", kind=STREAMS, template="{stem}.png").left_out == []


def test_a_folder_with_nothing_to_take_is_noted(tree: Path) -> None:
    (tree / "nothing").mkdir()
    assert make_plan("in", "nothing", "in/.cache").empty == [Path("nothing")]
    assert make_plan("in/deep", kind=STREAMS, template="{stem}.png").empty == [Path("in/deep")]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stem}.cdsr", "a.b.cdsr"),
        ("{name}.cdsr", "a.b.png.cdsr"),
        ("{parent}-{stem}-{ext}.cdsr", "shots-a.b-png.cdsr"),
        ("{ext}/{stem}.cdsr", "png/a.b.cdsr"),
        ("{{{stem}}}.cdsr", "{a.b}.cdsr"),
    ],
)
def test_the_template_makes_the_name(template: str, name: str) -> None:
    assert check_template(template) == template
    assert plan("shots/a.b.png", template=template) == [("shots/a.b.png", f"out/{name}")]


def test_the_parent_of_a_relative_name_is_its_real_folder(tree: Path) -> None:
    assert plan("a.png", template="{parent}.cdsr") == [("a.png", f"out/{tree.name}.cdsr")]


@pytest.mark.parametrize(
    "template", ["{", "}", "{}", "{quality}", "{stem.x}", "{stem!r}", "{stem:>9}"]
)
def test_a_template_with_anything_but_known_fields_is_refused(template: str) -> None:
    with pytest.raises(click.BadParameter, match=r"hint: fields are \{stem\} \{name\}"):
        check_template(template)


@pytest.mark.parametrize("template", ["../{stem}.cdsr", "/tmp/{stem}.cdsr", "", "{stem}/", "."])
def test_a_template_cannot_lead_out_of_the_folder(template: str) -> None:
    with pytest.raises(click.UsageError, match="no name below the folder"):
        plan("a.png", template=template)


@pytest.mark.parametrize(
    ("inputs", "template"),
    [
        (["a.png", "a.jpg"], "{stem}.cdsr"),
        (["x/a.png", "y/a.png"], "{stem}.cdsr"),
        (["a.png", "b.png"], "same.cdsr"),
        (["a.png", "b.png"], "{ext}.cdsr"),
    ],
)
def test_two_inputs_of_one_output_are_refused(inputs: list[str], template: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        plan(*inputs, template=template)
    assert str(caught.value).startswith(f"{inputs[0]} and {inputs[1]} would both become out/")


def test_an_input_that_is_named_twice_is_converted_once(tree: Path) -> None:
    assert plan("a.png", "in/../a.png") == [("in/../a.png", "out/a.cdsr")]


def test_an_output_that_is_another_input_is_refused() -> None:
    with pytest.raises(click.UsageError, match=r"^out/a\.png is an input of the batch"):
        plan("x/a.png", "out/a.png", template="{name}")


@pytest.mark.parametrize("out", ["in/deep", "in/../in/deep", "in/loop/deep"])
def test_what_earlier_runs_made_is_no_input_where_it_is_of_the_same_kind(
    tree: Path, out: str
) -> None:
    assert sources("in", folder=Path(out), kind=ENLARGEABLE) == ["b.jpg", "c.PNG"]
    assert sources("in/deep/er", folder=Path(out), kind=ENLARGEABLE) == ["d.webp"]
    assert sources("in", folder=Path(out), kind=PICTURES) == ["b.jpg", "c.PNG", "d.webp"]


@pytest.mark.parametrize("inputs", [("in/b.jpg", "in/b.png"), ("in/b.png", "in/b.jpg")])
def test_an_output_that_is_another_input_by_a_linked_folder_is_refused(
    tree: Path, inputs: tuple[str, str]
) -> None:
    with pytest.raises(click.UsageError, match=r"in/loop/b\.png is an input of the batch"):
        plan(*inputs, folder=Path("in/loop"), template="{stem}.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on Windows")
def test_a_pipe_in_a_folder_is_not_waited_for_and_a_broken_link_is_told_later(tree: Path) -> None:
    os.mkfifo(tree / "in" / "pipe.png")
    (tree / "in" / "broken.png").symlink_to("nowhere.png")
    assert sources("in") == ["b.jpg", "broken.png", "c.PNG", "d.webp"]


def test_nothing_is_made_while_planning(tree: Path) -> None:
    before = sorted(tree.rglob("*"))
    plan("in")
    assert sorted(tree.rglob("*")) == before


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"", []),
        (b"a.png\nb c.png\n", ["a.png", "b c.png"]),
        (b"a.png\r\n\r\nb.png", ["a.png", "b.png"]),
        (b"two\nlines.png\0b.png\0", ["two\nlines.png", "b.png"]),
        ("ü.png".encode(), ["ü.png"]),
        (b"\xef\xbb\xbfa.png\r\nb.png\r\n", ["a.png", "b.png"]),
        ("\N{BYTE ORDER MARK}ü.png\r\nb.png\r\n".encode("utf-16-le"), ["ü.png", "b.png"]),
        ("\N{BYTE ORDER MARK}a.png\r\n".encode("utf-16-be") + b"\0", ["a.png", "\ufffd"]),
    ],
)
def test_a_list_is_split_at_line_ends_or_nuls(data: bytes, names: list[str]) -> None:
    assert split_list(data) == [Path(name) for name in names]


def test_names_that_are_no_text_are_kept() -> None:
    (path,) = split_list(b"\xff.png")
    assert os.fsencode(str(path)) == b"\xff.png"
