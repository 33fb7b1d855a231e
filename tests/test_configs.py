"""Tests for gin_configs: each one parses, and says how to run it."""

import copy
import pathlib
import re

import gin
import keras
import pytest

from tfprune import damage
from tfprune import masking
from tfprune import pruning

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


@pytest.mark.slow
def test_imagenet_config_searches_inside_of_the_blocks():
    config = CONFIGS[0].with_name("resnet50_imagenet_aofp.gin")
    gin.parse_config_files_and_bindings(
        [str(config)],
        [
            "SEED = 0",
            "DATA_DIR = None",
            "keras.applications.ResNet50.weights = None",
        ],
    )
    bound = gin.get_bindings(pruning.prune, resolve_references=False)
    model, method = (copy.deepcopy(bound[x]) for x in ("model", "method"))
    gin.clear_config()
    search, _ = method.stages
    graph = search.trace(model)
    found = damage.Damage(masking.mask_model(model, graph), graph)
    assert len(found.targets) == 32
    assert sum(len(target.units) for target in found.targets) == 7552
    assert model.layers[-1].activation is keras.activations.linear
