"""Tests for gin_configs: each one parses, and says how to run it."""

import copy
import pathlib
import re

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from tfprune import damage
from tfprune import experiment
from tfprune import losses
from tfprune import masking
from tfprune import pruning
from tfprune import tracing

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


def test_bindings_of_the_header_resolve(path):
    imports = re.findall(r"^(?:from|import) .+", path.read_text(), re.MULTILINE)
    macros = ["SEED = 0", "DATA_DIR = None"]
    for binding in re.findall(r'"(\S+ = [^"]+)"', header(path)):
        gin.clear_config()
        gin.parse_config_file(path)
        gin.parse_config([*imports, *macros, binding])
        assert gin.config_str()


def parts(name, *bindings):
    """Returns the model and the method of a config."""
    gin.parse_config_files_and_bindings(
        [str(CONFIGS[0].with_name(f"{name}.gin"))],
        ["SEED = 0", "DATA_DIR = None", *bindings],
    )
    bound = gin.get_bindings(pruning.prune, resolve_references=False)
    found = [copy.deepcopy(bound[each]) for each in ("model", "method")]
    gin.clear_config()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet3", "preact_resnet18", "vgg11"])
def test_configs_of_taylors_loop_begin(name):
    model, method = parts(f"{name}_cifar10_taylor")
    images = np.random.default_rng(0).random((4, 32, 32, 3), "float32")
    data = tf.data.Dataset.from_tensors((images, [0, 1, 2, 3]))
    method.check(model, data, losses.CrossEntropy())
    units = method.trace(model).prunable.sum()
    left = method.budget.target(units)
    assert abs(2 * left - units) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("depth, gates", [(50, 11392), (101, 20096)])
def test_imagenet_configs_have_as_many_units_as_the_paper_gates(depth, gates):
    model, method = parts(
        f"resnet{depth}_imagenet_taylor",
        f"keras.applications.ResNet{depth}.weights = None",
    )
    first, _ = method.stages
    assert first.trace(model).prunable.sum() == gates
    prunes = [bool(first.schedule(x)[0]) for x in range(1, first.steps + 1)]
    assert gates - first.budget.units == 100 * sum(prunes)


@pytest.mark.slow
def test_imagenet_config_searches_inside_of_the_blocks():
    model, method = parts(
        "resnet50_imagenet_aofp", "keras.applications.ResNet50.weights = None"
    )
    search, _ = method.stages
    graph = search.trace(model)
    found = damage.Damage(masking.mask_model(model, graph), graph)
    assert len(found.targets) == 32
    assert sum(len(target.units) for target in found.targets) == 7552
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize(
    "name, units",
    [
        ("lenet5", 20 + 50),
        ("cifarnet", 32 + 32 + 64),
        ("nin", 6 * 192 + 160 + 96),
        ("resnet20", 3 * (16 + 32 + 64) + 16 + 16 + 32),
        # Pairs of channels, one of each of two groups.
        ("alexnet", (96 + 256 + 384 + 384 + 256) // 2),
    ],
)
def test_experiments_prune_channels_of_convolutions_alone(name, units):
    gin.parse_config_files_and_bindings(
        [str(CONFIGS[0].with_name(f"{name}_myopic.gin"))],
        ["SEED = 0", "DATA_DIR = None", "WEIGHTS = None"],
    )
    bound = gin.get_bindings(experiment.experiment, resolve_references=False)
    model = copy.deepcopy(bound["model"])
    gin.clear_config()
    graph = tracing.trace(model, bound.get("frozen", ()))
    kinds = {
        type(model.get_layer(graph.owners[unit]))
        for unit in graph.prunable.nonzero()[0]
    }
    assert kinds == {keras.layers.Conv2D}
    assert graph.prunable.sum() == units
