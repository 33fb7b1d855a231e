"""Tests for gin_configs: each one parses, and says how to run it."""

import pathlib
import re

import gin
import pytest

CONFIGS = sorted(pathlib.Path(__file__).parents[1].glob("gin_configs/*.gin"))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def path(request):
    yield request.param
    gin.clear_config()


def header(path):
    lines = path.read_text().split("from __gin__")[0].splitlines()
    assert all(line.startswith("#") for line in lines)
    return "\n".join(lines)


def test_all_references_resolve(path):
    gin.parse_config_files_and_bindings(
        [str(path)], ["SEED = 0", "DATA_DIR = None"]
    )
    assert gin.config_str()


def test_header_has_the_command(path):
    run = r"# Run: python bin/(\w+)\.py --gin_file=(\S+)"
    match = re.search(run, header(path))
    assert match, f"{path.name} needs a `# Run: python bin/...` line."
    command, config = match.groups()
    assert path.parents[1].joinpath("bin", f"{command}.py").is_file()
    assert config == f"gin_configs/{path.name}"
