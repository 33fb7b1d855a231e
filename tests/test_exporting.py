"""Tests for tfprune.exporting."""

import pathlib
import subprocess
import sys
import sysconfig

import keras
from keras import layers
import numpy as np
import pytest
import tensorflow as tf

from tfprune import exporting
from tfprune import serving

# A None in `sys.modules` refuses the import; TensorFlow itself imports keras.
SERVE = """
import sys
sys.modules["tfprune"] = None
import numpy as np
import tensorflow as tf
sys.modules["keras"] = None

model, images, outputs = sys.argv[1:]
signature = tf.saved_model.load(model).signatures["serving_default"]
served = signature(image=tf.constant(np.load(images)))
np.save(outputs, served["class"].numpy())
"""


def classifier():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.Dropout(0.5)(layers.BatchNormalization()(x))
    outputs = layers.Dense(3, name="class")(layers.Flatten()(x))
    return keras.Model(inputs, outputs)


def two_headed():
    left = keras.Input((None, None, 2), name="left")
    right = keras.Input((4,), name="right")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(left))
    return keras.Model(
        [left, right],
        [
            layers.Dense(3, name="sum")(layers.Add()([x, right])),
            layers.Dense(2, name="product")(layers.Multiply()([x, right])),
        ],
    )


def signature(path):
    return tf.saved_model.load(path).signatures["serving_default"]


def files_in(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def full_disk(*args, **kwargs):
    raise OSError(28, "No space left on device")


def test_writes_a_version_folder(tmp_path):
    path = exporting.export(classifier(), tmp_path / "model")
    assert path == tmp_path / "model" / "1"
    assert files_in(tmp_path / "model")[:2] == ["1", "1/assets"]
    assert (path / "saved_model.pb").is_file()


def test_signature_names_inputs_and_outputs(tmp_path):
    served = signature(exporting.export(classifier(), tmp_path, version=7))
    _, inputs = served.structured_input_signature
    assert list(inputs) == ["image"]
    assert inputs["image"].shape.as_list() == [None, 8, 8, 1]
    assert list(served.structured_outputs) == ["class"]


@pytest.mark.parametrize("batch", [1, 5])
def test_serves_any_batch_size_as_the_model_does(tmp_path, batch):
    model = classifier()
    images = np.random.normal(size=(batch, 8, 8, 1)).astype("float32")
    loaded = tf.saved_model.load(exporting.export(model, tmp_path))
    expected = model(images, training=False)
    served = loaded.signatures["serving_default"](image=tf.constant(images))
    again = loaded.serve(images)
    np.testing.assert_allclose(served["class"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(again["class"], served["class"])


def test_several_inputs_and_outputs_of_free_size(tmp_path):
    model = two_headed()
    left = tf.random.normal((3, 9, 5, 2))
    right = tf.random.normal((3, 4))
    serve = signature(exporting.export(model, tmp_path))
    served = serve(left=left, right=right)
    assert served.keys() == {"sum", "product"}
    total, product = model([left, right], training=False)
    np.testing.assert_allclose(served["sum"], total, rtol=0, atol=1e-5)
    np.testing.assert_allclose(served["product"], product, rtol=0, atol=1e-5)


def test_dict_of_outputs_keeps_its_keys(tmp_path):
    inputs = keras.Input((4,), name="x")
    dense = layers.Dense(3)
    model = keras.Model(inputs, {"b": dense(inputs), "a": dense(-inputs)})
    x = tf.random.normal((2, 4))
    served = signature(exporting.export(model, tmp_path))(x=x)
    expected = model(x)
    assert served.keys() == {"a", "b"}
    np.testing.assert_allclose(served["a"], expected["a"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(served["b"], expected["b"], rtol=0, atol=1e-5)


def test_sequential_is_named_by_its_last_layer(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,), name="x"), layers.Dense(3, name="class")]
    )
    served = signature(exporting.export(model, tmp_path))
    x = tf.random.normal((2, 4))
    np.testing.assert_allclose(
        served(x=x)["class"], model(x), rtol=0, atol=1e-5
    )


def test_integer_inputs(tmp_path):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(2, 4)(tokens))
    model = keras.Model(tokens, layers.Dense(3, name="class")(x))
    served = signature(exporting.export(model, tmp_path))
    x = tf.constant([[0, 1, 1]])
    np.testing.assert_allclose(
        served(tokens=x)["class"], model(x), rtol=0, atol=1e-5
    )


def test_input_name_that_is_no_argument(tmp_path):
    inputs = keras.Input((4,), name="in-1")
    model = keras.Model(inputs, layers.Dense(3, name="out-1")(inputs))
    served = signature(exporting.export(model, tmp_path))
    assert served(in_1=tf.ones((2, 4))).keys() == {"out-1"}


def test_half_precision(tmp_path):
    inputs = keras.Input((4,), name="x", dtype="bfloat16")
    model = keras.Model(inputs, layers.Dense(3, dtype="bfloat16")(inputs))
    assert exporting.export(model, tmp_path).is_dir()


def test_model_of_two_replicas(tmp_path):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = classifier()
    images = tf.random.normal((2, 8, 8, 1))
    served = signature(exporting.export(model, tmp_path))(image=images)
    np.testing.assert_allclose(
        served["class"], model(images), rtol=0, atol=1e-5
    )


def test_is_quiet(tmp_path, capfd):
    exporting.export(classifier(), tmp_path)
    out, err = capfd.readouterr()
    assert out == ""
    assert "ssets written" not in err


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "1", None])
def test_version_is_a_positive_int(tmp_path, version):
    with pytest.raises(ValueError, match="must be a positive int. Received"):
        exporting.export(classifier(), tmp_path, version=version)
    assert files_in(tmp_path) == []


def test_existing_version_is_refused_and_untouched(tmp_path):
    path = exporting.export(classifier(), tmp_path)
    before = (path / "saved_model.pb").read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten.*version=1"):
        exporting.export(classifier(), tmp_path)
    assert (path / "saved_model.pb").read_bytes() == before
    assert exporting.export(classifier(), tmp_path, version=2).name == "2"


def test_outputs_of_one_name_are_refused(tmp_path):
    inputs = keras.Input((4,))
    dense = layers.Dense(3, name="class")
    model = keras.Model(inputs, [dense(inputs), dense(-inputs)])
    with pytest.raises(ValueError, match=r"Outputs need different.*'class', "):
        exporting.export(model, tmp_path)


def test_output_names_are_checked(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, {"my class": layers.Dense(3)(inputs)})
    with pytest.raises(ValueError, match="Outputs need .*'my class'"):
        exporting.export(model, tmp_path)


def test_input_names_are_checked(tmp_path):
    inputs = keras.Input((4,), name="my image")
    model = keras.Model(inputs, layers.ReLU()(inputs))
    with pytest.raises(ValueError, match="Inputs need .*'my image'"):
        exporting.export(model, tmp_path)


def test_check_refuses_what_export_refuses():
    inputs = keras.Input((4,), name="my image")
    model = keras.Model(inputs, layers.ReLU()(inputs))
    with pytest.raises(ValueError, match="Inputs need .*'my image'"):
        exporting.check(model)
    with pytest.raises(ValueError, match="Only built Functional and Seq"):
        exporting.check(keras.Sequential([layers.Dense(3)]))
    for model in (classifier(), two_headed()):
        exporting.check(model)


def test_nest_of_outputs_is_named_by_its_layers(tmp_path):
    inputs = keras.Input((4,), name="x")
    a, b, c = (layers.Dense(3, name=name)(inputs) for name in "abc")
    model = keras.Model(inputs, {"first": c, "rest": {"b": b, "a": a}})
    x = tf.random.normal((2, 4))
    served = signature(exporting.export(model, tmp_path))(x=x)
    expected = model(x)
    assert served.keys() == {"a", "b", "c"}
    np.testing.assert_allclose(served["c"], expected["first"], atol=1e-5)
    np.testing.assert_allclose(served["a"], expected["rest"]["a"], atol=1e-5)


def test_unbuilt_and_subclassed_models_are_refused(tmp_path):
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    called = Subclassed()
    called(tf.ones((1, 2)))
    for model in [keras.Sequential([layers.Dense(3)]), Subclassed(), called]:
        with pytest.raises(ValueError, match="Only built Functional and Seq"):
            exporting.export(model, tmp_path)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
    ],
)
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, error):
    kept = exporting.export(classifier(), tmp_path)
    before = files_in(tmp_path)

    def save(trackable, path, **kwargs):
        pathlib.Path(path).mkdir()
        pathlib.Path(path, "saved_model.pb").write_text("half")
        raise error

    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(OSError, match="No space left.*nothing was left"):
        exporting.export(classifier(), tmp_path, version=2)
    assert files_in(tmp_path) == before
    assert serving.load(kept).outputs.keys() == {"class"}


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="must be a folder that can be written"):
        exporting.export(classifier(), tmp_path / "file" / "model")
    assert files_in(tmp_path) == ["file"]


def test_different_reloaded_model_is_refused(tmp_path, monkeypatch):
    load = serving.load

    def damaged(path):
        served = load(path)
        return served._replace(
            call=lambda x: {k: v + 1 for k, v in served.call(x).items()}
        )

    monkeypatch.setattr(serving, "load", damaged)
    with pytest.raises(
        exporting.ExportError, match="must equal.*output 'class' differs by 1"
    ):
        exporting.export(classifier(), tmp_path)
    assert files_in(tmp_path) == []


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = classifier()
    model.get_layer("class").bias.assign([np.nan] * 3)
    with pytest.raises(exporting.ExportError, match="differs by nan"):
        exporting.export(model, tmp_path)


def test_serves_with_tensorflow_alone(tmp_path):
    model = classifier()
    images = np.random.normal(size=(6, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    arguments = [exporting.export(model, tmp_path), tmp_path / "images.npy"]
    subprocess.run(
        [sys.executable, "-c", SERVE, *arguments, tmp_path / "outputs.npy"],
        cwd=tmp_path,
        check=True,
    )
    expected = model(images, training=False).numpy()
    np.testing.assert_allclose(
        np.load(tmp_path / "outputs.npy"),
        expected,
        rtol=0,
        atol=1e-5 * np.abs(expected).max(),
    )


@pytest.mark.slow
def test_saved_model_cli_lists_the_signature(tmp_path):
    path = exporting.export(classifier(), tmp_path)
    command = pathlib.Path(sysconfig.get_path("scripts"), "saved_model_cli")
    shown = subprocess.run(
        [command, "show", "--all", "--dir", path],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "signature_def['serving_default']" in shown
    assert "inputs['image']" in shown
    assert "outputs['class']" in shown


def test_save_keras_round_trip(tmp_path):
    model = classifier()
    exporting.save_keras(model, tmp_path / "model.keras")
    images = tf.random.normal((2, 8, 8, 1))
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))
    assert files_in(tmp_path) == ["model.keras"]


def test_save_keras_keeps_the_old_file_on_failure(tmp_path, monkeypatch):
    model = classifier()
    path = tmp_path / "model.keras"
    exporting.save_keras(model, path)
    before = path.read_bytes()
    monkeypatch.setattr(keras.Model, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        exporting.save_keras(model, path)
    assert path.read_bytes() == before
    assert files_in(tmp_path) == ["model.keras"]


def small_dense():
    inputs = keras.Input((4,))
    x = layers.Dropout(0.5)(layers.Dense(5, activation="relu")(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.BatchNormalization()(x)))


def test_weights_are_constants_that_are_counted(tmp_path):
    model = small_dense()
    path = exporting.export(model, tmp_path)
    loaded = tf.saved_model.load(path)
    assert not loaded.signatures["serving_default"].variables
    assert serving.load(path).params == model.count_params()
    stored = sum(f.stat().st_size for f in (path / "variables").iterdir())
    assert stored < 1000


def test_weights_of_a_large_model_stay_variables(tmp_path, monkeypatch):
    model = small_dense()
    monkeypatch.setattr(serving, "CONSTANT_BYTES", 4 * model.count_params() - 1)
    path = exporting.export(model, tmp_path)
    loaded = tf.saved_model.load(path)
    variables = loaded.signatures["serving_default"].variables
    assert len(variables) == len(model.weights)
    served = serving.load(path)
    assert served.params == model.count_params()
    inputs = tf.random.normal((2, 4))
    (outputs,) = served.call(inputs).values()
    np.testing.assert_allclose(outputs, model(inputs), rtol=1e-5)


def test_an_endpoint_keeps_the_weights_of_its_time():
    model = small_dense()
    endpoint, inputs = serving.endpoint(model), tf.random.normal((2, 4))
    (before,) = endpoint(inputs).values()
    for weight in model.weights:
        weight.assign(weight + 1.0)
    (after,) = endpoint(inputs).values()
    np.testing.assert_array_equal(after, before)


def test_tables_of_words_are_exported(tmp_path):
    words = keras.Input((3,), dtype="string")
    lookup = layers.StringLookup(vocabulary=["a", "b"])
    x = layers.Embedding(3, 4)(lookup(words))
    model = keras.Model(words, layers.Dense(2)(layers.Flatten()(x)))
    served = serving.load(exporting.export(model, tmp_path))
    inputs = tf.constant([["a", "b", "c"], ["b", "b", "a"]])
    (outputs,) = served.call(inputs).values()
    np.testing.assert_allclose(outputs, model(inputs), rtol=1e-5)
