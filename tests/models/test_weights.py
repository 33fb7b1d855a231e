"""Tests for tfprune.models.weights."""

import keras
import numpy as np
import pytest

from tfprune.models import resnet
from tfprune.models import weights

BN = ("weight", "bias", "running_mean", "running_var")


def tensors():
    """Returns the tensors of a ResNet-8 with PyTorch's names and layouts."""
    shapes = {"linear.weight": (10, 64), "linear.bias": (10,)}

    def conv_bn(prefix, number, inputs, outputs):
        shapes[f"{prefix}conv{number}.weight"] = (outputs, inputs, 3, 3)
        for name in BN:
            shapes[f"{prefix}bn{number}.{name}"] = (outputs,)

    conv_bn("", 1, 3, 16)
    for stage, (inputs, outputs) in enumerate([(16, 16), (16, 32), (32, 64)]):
        conv_bn(f"layer{stage + 1}.0.", 1, inputs, outputs)
        conv_bn(f"layer{stage + 1}.0.", 2, outputs, outputs)
    random = np.random.RandomState(0)
    return {
        name: random.uniform(0.5, 1.5, shape).astype("float32")
        for name, shape in shapes.items()
    }


@pytest.fixture
def save(tmp_path):
    def write(arrays):
        np.savez(tmp_path / "weights.npz", **arrays)
        return tmp_path / "weights.npz"

    return write


def test_puts_every_tensor_in_its_place(save):
    arrays = tensors()
    model = resnet.resnet(8, weights=save(arrays))
    assert len(model.weights) == len(arrays)
    kernel = model.get_layer("block2_1_conv1").kernel.numpy()
    expected = arrays["layer2.0.conv1.weight"]
    assert kernel[0, 2, 5, 7] == expected[7, 5, 0, 2]
    np.testing.assert_array_equal(kernel, np.moveaxis(expected, (0, 1), (3, 2)))
    bn = model.get_layer("block3_1_conv2_bn")
    for name, weight in zip(BN, bn.weights, strict=True):
        np.testing.assert_array_equal(weight, arrays[f"layer3.0.bn2.{name}"])
    stem = model.get_layer("conv1_bn")
    np.testing.assert_array_equal(
        stem.moving_variance, arrays["bn1.running_var"]
    )
    logits = model.get_layer("logits")
    np.testing.assert_array_equal(logits.kernel, arrays["linear.weight"].T)
    np.testing.assert_array_equal(logits.bias, arrays["linear.bias"])


def test_missing_tensor(save):
    arrays = tensors()
    del arrays["layer1.0.bn2.bias"]
    with pytest.raises(ValueError, match="missing=.'layer1.0.bn2.bias'"):
        resnet.resnet(8, weights=save(arrays))


def test_file_of_another_depth(save):
    with pytest.raises(ValueError, match=r"weights.npz', missing=\['layer1.1"):
        resnet.resnet(14, weights=save(tensors()))


def test_unexpected_tensor(save):
    arrays = tensors() | {"bn1.num_batches_tracked": np.array(3)}
    with pytest.raises(
        ValueError, match="missing=.., unexpected=.'bn1.num_batches_tracked'"
    ):
        resnet.resnet(8, weights=save(arrays))


def test_wrong_shape_changes_nothing(save):
    arrays = tensors()
    arrays["linear.weight"] = arrays["linear.weight"].T
    model = resnet.resnet(8)
    before = model.get_weights()
    with pytest.raises(
        ValueError,
        match=r"'linear.weight' must have shape \(10, 64\) .*\(64, 10\)",
    ):
        weights.load_npz(model, save(arrays))
    for weight, expected in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_projection_shortcuts_have_no_tensors(save):
    with pytest.raises(ValueError, match="'block2_1_shortcut'; build it with"):
        resnet.resnet(8, "projection", weights=save(tensors()))


@pytest.mark.parametrize(
    "name, save",
    [
        ("resnet.keras", keras.Model.save),
        ("resnet.weights.h5", keras.Model.save_weights),
    ],
)
def test_files_of_keras(tmp_path, name, save):
    path = tmp_path / name
    model = resnet.resnet(8, "projection")
    save(model, path)
    again = resnet.resnet(8, "projection", weights=path)
    for weight, expected in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("name", ["resnet.npz", "resnet.keras"])
def test_no_such_file(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match=f"{name}', which is no file"):
        resnet.resnet(8, weights=path)


def test_no_path_leaves_the_weights():
    model = resnet.resnet(8)
    before = model.get_weights()
    assert weights.load(model, None) is model
    for weight, expected in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, expected)
