"""The modules import downwards only, and keep to what they may use."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SOURCES = sorted((ROOT / "tfprune").rglob("*.py"))
SCRIPTS = sorted((ROOT / "bin").glob("*.py"))

# Each line may import from the lines below it.
LINES = """
    tfprune
    pruning one_shot correlating experiment
    pretraining
    comparison correlation_report experiment_report experiment_run stages
    methods measures rounds
    runs composition
    scoring budgets training report
    selection sections search_figures correlation_figures
    latency rankings decay
    criteria
    reading works checks batch_norm figures evaluation identity journal loops
    halving damage ablation
    examples whole
    linear
    compaction stopwatch measuring
    exporting speed hdf5 published targets proposals draws curves
    verification costs curvature
    masking
    tracing
    graph
    layers gates rebuilding limits weights
    program rules gradients canonical
    rates
    feeds schedules data models files serving replicas losses units slots timing
    explanation augmentation averages choices constructors groups patterns
"""
LEVEL = {
    name: -line
    for line, names in enumerate(LINES.split("\n"))
    for name in names.split()
}
# What the algorithms of a package may import from that package.
SHARED = {
    "criteria": ["base", "hessian", "pointwise", "reductions"],
    "layers": [
        "channel_mask",
        "fbs_gate",
        "listeners",
        "poolings",
        "predictor",
        "squeeze_gate",
        "winners",
    ],
    "methods": ["base", "masked", "trained"],
    "models": ["blocks", "weights"],
}


def part_of(path):
    """Returns the module or package under `tfprune` that a file belongs to."""
    inside = path.relative_to(ROOT / "tfprune").with_suffix("").parts
    return "tfprune" if inside == ("__init__",) else inside[0]


def imports(path):
    """Yields the full name of each import of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_imports_go_down_only(path):
    part = part_of(path)
    for name in imports(path):
        if not name.startswith("tfprune."):
            continue
        other = name.split(".")[1]
        below = LEVEL[other] < LEVEL[part]
        assert other == part or below, f"{path} imports {name}"


@pytest.mark.parametrize("package", SHARED)
def test_algorithms_do_not_know_each_other(package):
    for path in (ROOT / "tfprune" / package).glob("*.py"):
        if path.stem in ("__init__", "pipeline"):
            continue
        for name in imports(path):
            if name.startswith(f"tfprune.{package}."):
                assert name.split(".")[2] in SHARED[package], path


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_library_uses_neither_private_keras_nor_gin_nor_print(path):
    for name in imports(path):
        assert not name.startswith("keras.src"), f"{path} imports {name}"
        assert name.split(".")[0] not in ("gin", "pytest", "tests"), path
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"{path}:{node.lineno} prints"


@pytest.mark.parametrize(
    "path", SOURCES + SCRIPTS, ids=names(SOURCES + SCRIPTS)
)
def test_modules_begin_with_a_docstring_and_stay_in_80_columns(path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= 80, f"{path}:{number}"
