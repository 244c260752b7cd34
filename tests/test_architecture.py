"""Floors of docs/architecture.md, read from the imports of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "cdsrcodec"

# A unit is what stands directly in the package; it may import units of lower floors only.
# The package's own __init__ is the face of the api and counts as a unit.
FLOORS = {
    "__main__": 7,
    "cli": 6,
    "thumbnailer": 6,
    PACKAGE: 5,
    "evaluation": 5,
    "pillow": 5,
    "api": 4,
    "training": 4,
    "codec": 3,
    "zoo": 3,
    "chunks": 2,
    "models": 2,
    "sr": 2,
    "container": 1,
    "entropy": 1,
    "imageio": 1,
    "layers": 1,
    "errors": 0,
    "weights": 0,
}

# What else a unit may import beside the standard library, early or late.
THIRD_PARTY: dict[str, set[str]] = {
    "__main__": set(),
    "cli": {"click", "fsspec", "ray", "rich", "torch"},
    "thumbnailer": {"PIL"},
    PACKAGE: set(),
    "pillow": {"PIL"},
    "evaluation": {
        "PIL", "bjontegaard", "compressai", "matplotlib", "numpy", "pillow_jxl", "pytorch_msssim",
        "ssimulacra2", "torch",
    },
    "api": {"PIL", "numpy", "torch"},
    "training": {
        "PIL", "compressai", "h5py", "numpy", "pytorch_msssim", "safetensors", "torch",
    },
    "codec": {"PIL", "numpy", "safetensors", "torch"},
    "zoo": {"filelock", "numpy", "safetensors", "torch"},
    "chunks": {"PIL", "numpy"},
    "models": {"numpy", "safetensors", "torch"},
    "sr": {"numpy", "safetensors", "torch"},
    "container": set(),
    "entropy": {"constriction", "numpy"},
    "imageio": {"PIL", "numpy"},
    "layers": {"numpy", "safetensors", "torch"},
    "errors": set(),
    "weights": set(),
}  # fmt: skip

# Importing these must stay cheap: `--help` and `info` do.
LIGHT_UNITS = {PACKAGE, "__main__", "api", "cli", "pillow", "thumbnailer"}
HEAVY = {
    "compressai", "constriction", "fsspec", "numpy", "ray", "safetensors", "scipy", "torch",
}  # fmt: skip
MAX_MODULE_LINES, MAX_FUNCTION_LINES = 300, 70
FORBIDDEN_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}


class Import(NamedTuple):
    """One imported module, by its full name."""

    target: str
    late: bool  # inside a function, or for the type checker alone


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(p): p for p in sorted((ROOT / PACKAGE).rglob("*.py"))}


def unit_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def is_own(module: str) -> bool:
    return module.split(".")[0] == PACKAGE


def late_nodes(tree: ast.Module) -> set[ast.AST]:
    """What does not run when the module is imported."""
    late: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            late.update(ast.walk(node))
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            late.update(child for statement in node.body for child in ast.walk(statement))
    return late


def imports_of(module: str) -> Iterator[Import]:
    """Every import statement; `from package import submodule` counts as the submodule."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    late = late_nodes(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                target = submodule if submodule in MODULES else node.module
                yield Import(target, node in late)


def test_there_are_modules_to_check() -> None:
    assert {"cdsrcodec", "cdsrcodec.errors", "cdsrcodec.cli.main"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_module_stands_on_a_floor_and_has_a_telling_name(module: str) -> None:
    assert unit_of(module) in FLOORS
    assert not FORBIDDEN_NAMES & set(module.split("."))


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_lower_floors_only(module: str) -> None:
    unit = unit_of(module)
    targets = {unit_of(i.target) for i in imports_of(module) if is_own(i.target)} - {unit}
    assert {t for t in targets if FLOORS[t] >= FLOORS[unit]} == set()


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_the_packages_of_its_unit_only(module: str) -> None:
    packages = {i.target.split(".")[0] for i in imports_of(module) if not is_own(i.target)}
    # The type checker's own stubs, which nothing imports when it runs.
    third_party = packages - sys.stdlib_module_names - {"_typeshed"}
    assert third_party <= THIRD_PARTY[unit_of(module)]


@pytest.mark.parametrize("module", MODULES)
def test_module_and_its_functions_are_short(module: str) -> None:
    text = MODULES[module].read_text(encoding="utf-8")
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)]
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions}
    assert text.count("\n") <= MAX_MODULE_LINES
    assert {name for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == set()


def test_no_module_imports_itself_through_others() -> None:
    graph = {m: {i.target for i in imports_of(m) if is_own(i.target)} - {m} for m in MODULES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError on a cycle
    assert set(MODULES) <= set(order)


def early_packages(module: str, seen: set[str]) -> set[str]:
    """Third-party packages that importing the module imports, through the project's modules."""
    # Importing a.b.c runs a, a.b and a.b.c.
    parts = module.split(".")
    chain = {".".join(parts[: i + 1]) for i in range(len(parts))} & set(MODULES)
    packages = set()
    for name in chain - seen:
        seen.add(name)
        for target in (i.target for i in imports_of(name) if not i.late):
            packages |= early_packages(target, seen) if is_own(target) else {target.split(".")[0]}
    return packages


@pytest.mark.parametrize("module", [m for m in MODULES if unit_of(m) in LIGHT_UNITS])
def test_light_module_imports_torch_late(module: str) -> None:
    assert not early_packages(module, set()) & {"compressai", "torch"}


def modules_imported_by(*arguments: str) -> set[str]:
    """Full names of what a Python process with these arguments imported."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rsplit("|", 1)[1].strip() for line in lines}
    assert PACKAGE in names, done.stderr
    return names


def imported_by(*arguments: str) -> set[str]:
    """Top-level packages that a Python process with these arguments imported."""
    return {name.split(".")[0] for name in modules_imported_by(*arguments)}


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not imported_by("-c", "import cdsrcodec") & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["bench"],
        ["completion"],
        ["encode"],
        ["decode"],
        ["info"],
        ["models"],
        ["verify"],
        ["train"],
    ],
)
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    assert not imported_by("-m", PACKAGE, *command, "--help") & HEAVY


@pytest.mark.parametrize("name", ["alpha-33x20-q3", "metadata-30x17-q5"])
def test_info_imports_nothing_heavy(name: str) -> None:
    stream = ROOT / "tests" / "conformance" / "valid" / f"{name}.cdsr"
    assert not imported_by("-m", PACKAGE, "info", str(stream)) & HEAVY


def test_help_of_the_program_imports_none_of_its_commands() -> None:
    own = {name for name in modules_imported_by("-m", PACKAGE, "--help") if is_own(name)}
    parts = {
        "cli", "cli.failures", "cli.groups", "cli.main", "cli.standard_streams", "cli.version",
        "errors",
    }  # fmt: skip
    assert own == {PACKAGE, *(f"{PACKAGE}.{part}" for part in parts)}


def test_info_imports_no_other_command_and_little_of_the_library() -> None:
    stream = ROOT / "tests" / "conformance" / "valid" / "metadata-30x17-q5.cdsr"
    names = modules_imported_by("-m", PACKAGE, "info", str(stream))
    assert not {f"{PACKAGE}.cli.{name}" for name in ("batch", "bench", "encode")} & names
    assert not {"importlib.metadata", "json", "multiprocessing", "rich", "shutil"} & names
