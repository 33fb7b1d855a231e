"""Tests for bin: the commands, their files and their messages."""

import json
import pathlib
import re
import subprocess
import sys
import types

from absl import app
from absl import flags
from absl import logging
from absl.testing import flagsaver
import gin
import keras
from keras import layers
import pytest
import tensorflow as tf

from tfprune import exporting
from tfprune import pruning
from tfprune import runs
from tfprune import models

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "bin"))

import benchmark  # noqa: E402
import command  # noqa: E402
import damage_ranks  # noqa: E402
import evaluate  # noqa: E402
import explain  # noqa: E402
import prune  # noqa: E402
import train  # noqa: E402

CONFIG = ROOT / "gin_configs" / "lenet_digits_taylor.gin"
BASE = ROOT / "gin_configs" / "lenet_digits_base.gin"
SHORT = (
    "pretraining.Pretraining.epochs = 1",
    "data.digits.batch_size = 256",
    "iterative.Iterative.steps = 4",
    "schedules.PolynomialDecay.end_step = 2",
    "schedules.PolynomialDecay.frequency = 1",
)
OUTPUTS = {
    "1",
    "base",
    "base.keras",
    "checkpoints",
    "figures",
    "logs",
    "model.keras",
    "operative_config.gin",
    "records.jsonl",
    "report.json",
    "report.md",
    "run.json",
}


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs a command in this process; returns its exit code and output."""
    verbosity = logging.get_verbosity()
    level = tf.get_logger().level

    def run(module, *arguments):
        gin.clear_config()
        argv = [f"bin/{module.__name__}.py", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", argv)
        monkeypatch.setattr(app, "run", lambda main: main(flags.FLAGS(argv)))
        capfd.readouterr()
        with flagsaver.flagsaver():
            try:
                command.run(module.main)
            except SystemExit as end:
                print(end.code, file=sys.stderr)
                return 1, *capfd.readouterr()
        return 0, *capfd.readouterr()

    yield run
    gin.clear_config()
    logging.set_verbosity(verbosity)
    tf.get_logger().setLevel(level)


def prune_flags(folder, *bindings, config=CONFIG):
    return (
        f"--gin_file={config}",
        f"--output_dir={folder}",
        "--strategy=one_device",
        *(f"--gin_bindings={binding}" for binding in (*SHORT, *bindings)),
    )


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_runs_once_and_is_evaluated(run, tmp_path):
    folder = tmp_path / "tiny"
    code, out, err = run(prune, *prune_flags(folder))
    assert (code, err) == (0, "")
    assert "base epoch 1/1, loss" in out
    assert "round 1, step 1/4, loss" in out
    assert "MACs kept" in out
    assert "s left" in out
    assert "Test accuracy" in out
    assert names(folder) == OUTPUTS
    assert names(folder / "figures") == {"run.png", "channels.png"}
    summary = json.loads((folder / "report.json").read_text())
    assert summary["pruned"]["macs"] <= 0.4 * summary["base"]["macs"]
    assert summary["command"].startswith("python bin/prune.py --gin_file=")
    assert summary["command"] in (folder / "report.md").read_text()
    operative = (folder / "operative_config.gin").read_text()
    assert "iterative.Iterative.steps = 4" in operative

    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    code, out, err = run(prune, *prune_flags(folder))
    assert (code, err) == (0, "")
    assert f"Nothing to do: {folder} holds a finished run." in out
    assert "round" not in out
    assert "Test accuracy" in out
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before

    code, _, err = run(
        prune, *prune_flags(folder, "budgets.Budget.macs = 0.3")
    )
    assert code == 1
    assert "`output_dir` must hold a run of the same configuration" in err
    assert "-budgets.Budget.macs = 0.4" in err
    assert "+budgets.Budget.macs = 0.3" in err

    code, out, _ = run(
        evaluate,
        folder,
        folder / "model.keras",
        folder / "1",
        f"--gin_file={CONFIG}",
        f"--json={tmp_path / 'figures.json'}",
    )
    assert code == 0
    assert "unknown" not in out
    rows = json.loads((tmp_path / "figures.json").read_text())
    for row in rows:
        assert row["accuracy"] == pytest.approx(summary["pruned"]["accuracy"])
        assert row["bytes"] > 0
        assert row["cpu_ms_1"] > 0
        assert row["cpu_ms_8"] > 0
    macs = summary["pruned"]["macs"]
    assert [row["macs"] for row in rows] == [macs, macs, macs]
    assert rows[1]["params"] == rows[2]["params"]
    assert rows[1]["params"] == summary["pruned"]["params"]

    base = keras.models.load_model(folder / "base.keras")
    version = exporting.export(base, folder, version=2)
    code, out, _ = run(evaluate, version, f"--json={tmp_path / '2.json'}")
    assert code == 0
    (row,) = json.loads((tmp_path / "2.json").read_text())
    assert row["macs"] is None  # `model.keras` is that of version 1


def test_train_writes_a_base_model(run, tmp_path):
    arguments = (
        f"--gin_file={BASE}",
        f"--output_dir={tmp_path / 'base'}",
        "--gin_bindings=pretraining.Pretraining.epochs = 1",
        "--gin_bindings=data.digits.batch_size = 256",
    )
    code, out, err = run(train, *arguments, "--seed=3")
    assert (code, err) == (0, "")
    assert "base epoch 1/1, loss" in out
    assert "Multiply-accumulates" in out
    assert names(tmp_path / "base") == {
        "1",
        "checkpoints",
        "logs",
        "model.keras",
        "operative_config.gin",
        "records.jsonl",
        "report.json",
        "run.json",
    }
    summary = json.loads((tmp_path / "base" / "report.json").read_text())
    assert summary["seed"] == 3
    assert summary["versions"]["tensorflow"] == tf.__version__
    model = keras.models.load_model(tmp_path / "base" / "model.keras")
    assert summary["params"] == model.count_params()
    code, out, _ = run(train, *arguments, "--seed=3")
    assert code == 0
    assert "Nothing to do" in out


@pytest.mark.parametrize("moment", ["the export", "its end"])
def test_interrupted_run_has_its_operative_config(
    run, tmp_path, monkeypatch, moment
):
    """Ctrl-C reaches the main thread, while another one exports."""
    folder = tmp_path / "run"

    def interrupted(function, *args):
        if moment == "its end":
            runs.outside_strategy(function, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pruning, "runs", types.SimpleNamespace(**vars(runs)))
        patch.setattr(pruning.runs, "outside_strategy", interrupted)
        code, _, err = run(prune, *prune_flags(folder))
    assert (code, err.strip()) == (1, "Stopped; the same command goes on.")
    assert (folder / "report.json").exists() == (moment == "its end")
    code, _, err = run(prune, *prune_flags(folder))
    assert (code, err) == (0, "")
    assert names(folder) == OUTPUTS
    operative = (folder / "operative_config.gin").read_text()
    assert "iterative.Iterative.steps = 4" in operative


@pytest.mark.parametrize(
    "binding, message",
    [
        ("iterative.Iterative.stepz = 5", "parameter named 'stepz'"),
        ("iterativ.Iterative.steps = 5", "'iterativ' was not provided by"),
        ("WEIGHT = 'x.npz'", "defined and used. Received: 'WEIGHT'"),
        ("pruning.prune.seed = %SED", "'SED', which is only used"),
        ("iterative.Iterative.steps = many", "Failed to parse token 'many'"),
        (
            "iterative.Iterative.steps = 'many'",
            "`steps` must be an int of at least 1. Received: steps='many'.\n"
            "  In the call of Iterative.",
        ),
        (
            "budgets.Budget.macs = 2.5",
            "the kept fraction. Received: macs=2.5.\n  In the call of Budget.",
        ),
        (
            "data.digits.batch_size = 'x'",
            "`batch_size` must be an int of at least 1. Received: "
            "batch_size='x'.\n  In the call of train/digits.",
        ),
        (
            "pretraining.Pretraining.epochs = 0",
            "`epochs` must be an int of at least 1. Received: epochs=0.",
        ),
        (
            "base/training.Trainer.weight_decay = -1.0",
            "In the call of base/Trainer.",
        ),
        ("models.lenet5.weights = 'absent.npz'", "'absent.npz', which is no"),
        ("models.lenet5.input_shape = (9, 9, 1)", "batches of the model's in"),
        ("models.lenet5.classes = 5", "Labels must be from 0 to 4"),
    ],
)
def test_wrong_binding_writes_nothing(run, tmp_path, binding, message):
    code, out, err = run(prune, *prune_flags(tmp_path / "run", binding))
    assert code == 1
    assert message in err
    assert "Traceback" not in err
    assert not out.strip()
    assert list(tmp_path.iterdir()) == []


def test_binding_may_refer_to_what_the_config_imports(run, tmp_path):
    schedule = "iterative.Iterative.schedule = @schedules.ConstantSparsity()"
    sparsity = "schedules.ConstantSparsity.target_sparsity = 2.0"
    given = prune_flags(tmp_path / "run", schedule, sparsity)
    code, _, err = run(prune, *given)
    assert code == 1
    assert "In the call of ConstantSparsity" in err


def test_missing_gin_file(run, tmp_path):
    code, _, err = run(prune, *prune_flags(tmp_path / "run", config="no.gin"))
    assert code == 1
    assert "--gin_file must name a file. Received: 'no.gin'." in err


def test_no_gin_file(run):
    code, _, err = run(prune)
    assert code == 1
    assert "Name a config with --gin_file." in err


def test_argument_that_is_no_flag(run, tmp_path):
    code, _, err = run(prune, *prune_flags(tmp_path / "run"), "extra")
    assert code == 1
    assert "Every argument is a flag. Received: ['extra']." in err


def test_config_of_another_command(run, tmp_path):
    code, _, err = run(prune, f"--gin_file={BASE}", f"--output_dir={tmp_path}")
    assert code == 1
    assert "The config must bind the arguments of 'prune'." in err
    assert list(tmp_path.iterdir()) == []


def test_absent_data_set(run, tmp_path):
    config = ROOT / "gin_configs" / "resnet20_cifar10_base.gin"
    code, _, err = run(
        train,
        f"--gin_file={config}",
        f"--output_dir={tmp_path / 'run'}",
        f"--data_dir={tmp_path}",
    )
    assert code == 1
    assert "The data set must be prepared. Received: name='cifar10'" in err
    assert "--data_dir" in err
    assert list(tmp_path.iterdir()) == []


def test_output_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = run(prune, *prune_flags(tmp_path / "file" / "run"))
    assert code == 1
    assert "There must be a folder that can be written" in err
    assert "epoch" not in out  # It failed before any training.


def test_unreachable_budget_fails_before_any_training(run, tmp_path):
    folder = tmp_path / "run"
    code, out, err = run(prune, *prune_flags(folder, "budgets.Budget.macs = 9"))
    assert code == 1
    assert "epoch" not in out
    assert "The budget of 9 macs cannot be met" in err
    assert "The nearest found is" in err
    assert not folder.exists()


def test_base_of_another_configuration_is_not_taken(run, tmp_path):
    folder = tmp_path / "run"
    rate = "prune/keras.optimizers.schedules.CosineDecay.initial_learning_rate"
    run(prune, *prune_flags(folder, f"{rate} = 1e30"))
    before = (folder / "base.keras").stat()
    code, out, err = run(prune, *prune_flags(folder, f"{rate} = 2e30"))
    assert code == 1
    assert "`output_dir` must hold a run of the same configuration" in err
    assert "epoch" not in out
    assert (folder / "base.keras").stat() == before


def test_loss_that_is_not_finite(run, tmp_path):
    rate = "prune/keras.optimizers.schedules.CosineDecay.initial_learning_rate"
    code, _, err = run(
        prune, *prune_flags(tmp_path / "run", f"{rate} = 1e30")
    )
    assert code == 1
    assert "FloatingPointError: The loss must be finite." in err
    assert "training step" in err


def test_search_and_fine_tuning_are_shown_and_its_weights_evaluated(
    run, tmp_path
):
    short = (
        "pretraining.Pretraining.epochs = 1",
        "data.digits.batch_size = 256",
        "aofp.AOFP.steps = 40",
        "aofp.AOFP.warmup = 2",
        "aofp.AOFP.half_steps = 3",
        "aofp.AOFP.threshold = 2.0",
        "fine_tuning.FineTuning.steps = 3",
        "pruning.prune.with_hdf5 = True",
    )
    folder = tmp_path / "run"
    config = ROOT / "gin_configs" / "lenet_digits_aofp.gin"
    code, shown, _ = run(
        prune,
        f"--gin_file={config}",
        f"--output_dir={folder}",
        "--strategy=one_device",
        *(f"--gin_bindings={binding}" for binding in short),
    )
    assert code == 0
    for text in ("1_AOFP round", "2_FineTuning round 1", "moves", "Budget:"):
        assert text in shown, text
    _, shown, _ = run(evaluate, folder, folder / "model.hdf5", "--weights")
    model = keras.models.load_model(folder / "model.keras")
    assert shown.count("conv2/kernel") == 2
    assert shown.count(f"{model.count_params():,}") == 2
    _, shown, _ = run(evaluate, folder / "1", "--weights")
    assert shown.count("conv2/kernel") == 1


def test_weights_of_what_is_no_model(run, tmp_path):
    code, _, message = run(evaluate, tmp_path, "--weights")
    assert code == 1 and "names of weights are in a `.keras`" in message


def test_evaluate_needs_a_model(run, tmp_path):
    code, _, err = run(evaluate)
    assert code == 1
    assert "Name at least one model." in err
    code, _, err = run(evaluate, tmp_path)
    assert code == 1
    assert "A model is a `.keras` file, a SavedModel, or a folder" in err


def test_evaluate_without_data_or_keras_file(run, tmp_path):
    inputs = keras.Input((None, None, 2))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x))
    exporting.export(model, tmp_path)
    code, out, _ = run(evaluate, tmp_path, f"--json={tmp_path / 'out.json'}")
    assert code == 0
    assert "unknown" in out
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["params"] == model.count_params()
    assert row["accuracy"] is None
    assert row["macs"] is None


def test_evaluate_on_a_config_without_test_data(run, tmp_path):
    config = tmp_path / "empty.gin"
    config.write_text(
        "from __gin__ import dynamic_registration\n"
        "from tfprune import pruning\n"
        "pruning.prune.dataset = None\n"
    )
    inputs = keras.Input((2,))
    exporting.export(
        keras.Model(inputs, layers.Dense(3)(inputs)), tmp_path / "m"
    )
    code, _, err = run(evaluate, tmp_path / "m", f"--gin_file={config}")
    assert code == 1
    assert "The config must bind `test_data`" in err


def test_evaluate_on_the_config_of_a_sweep(run, tmp_path):
    config = tmp_path / "sweep.gin"
    config.write_text(
        "from __gin__ import dynamic_registration\n"
        "from tfprune import data\n"
        "from tfprune import losses\n"
        "from tfprune import one_shot\n"
        "one_shot.one_shot.test_data = @data.digits()\n"
        "one_shot.one_shot.loss_fn = @losses.CrossEntropy()\n"
        "data.digits.split = 'test'\n"
    )
    exporting.save_keras(
        models.lenet5((8, 8, 1), kernel_size=3, padding="same"),
        tmp_path / "model.keras",
    )
    code, out, err = run(
        evaluate, tmp_path / "model.keras", f"--gin_file={config}"
    )
    assert code == 0, err
    assert "%" in out


def test_damage_ranks_of_a_config(run):
    config = CONFIG.with_stem("lenet_digits_aofp")
    code, out, err = run(
        damage_ranks,
        f"--gin_file={config}",
        "--strategy=one_device",
        "--steps=4",
        "--oracle_batches=1",
    )
    assert code == 0, err
    for layer in ("conv1", "conv2", "dense1", "mean"):
        assert re.search(rf"^\W*{layer} .* -?[01]\.\d\d ", out, re.MULTILINE)


def test_damage_ranks_need_a_search(run):
    code, _, err = run(damage_ranks, f"--gin_file={CONFIG}")
    assert code == 1
    assert "The method of the config must search by AOFP." in err


@pytest.mark.slow
def test_process_ends_with_a_message_and_a_code(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "bin" / "prune.py",
            *prune_flags(tmp_path / "run", "iterative.Iterative.stepz = 5"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "parameter named 'stepz'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_benchmark_compares_models(run, tmp_path, threads):
    paths = []
    for channels in (8, 4):
        paths.append(tmp_path / f"{channels}.keras")
        inputs = keras.Input((8, 8, 3))
        outputs = layers.Conv2D(channels, 3)(inputs)
        exporting.save_keras(keras.Model(inputs, outputs), paths[-1])
    exporting.export(keras.saving.load_model(paths[1]), tmp_path / "saved")
    code, out, err = run(
        benchmark, *paths, tmp_path / "saved", "--runs=2", "--threads=2",
        "--batch_sizes=3", "--batch_sizes=5",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert threads == [2, 2]
    assert out.count("Batch of 3") == out.count("Batch of 5") == 1
    rows = [line for line in out.splitlines() if "(" in line]
    assert len(rows) == 6
    assert rows[0].count(" 1.000 ") == rows[3].count(" 1.000 ") == 2


def test_benchmark_measures_parts_of_tfprune(run, threads):
    code, out, err = run(benchmark, "--parts=depths", "--runs=1")
    assert (code, err) == (0, "")
    (row,) = (line for line in out.splitlines() if "ResNet152" in line)
    assert re.search(r": \d\.\d\d x \(at most 3\.50 x\)$", row)


def test_benchmark_needs_models_that_exist(run, threads):
    code, _, err = run(benchmark, "nowhere")
    assert code == 1
    assert "A model is a `.keras` file, a SavedModel, or a folder" in err


def test_explain_writes_a_table_and_a_figure(run, tmp_path):
    code, out, err = run(
        explain,
        "lenet5",
        f"--markdown={tmp_path / 'lenet5.md'}",
        f"--figure={tmp_path / 'lenet5.png'}",
    )
    assert (code, err) == (0, "")
    text = (tmp_path / "lenet5.md").read_text()
    for shown in ("units (", "1 model input", "10 model output"):
        assert shown in out and shown in text
    assert "# lenet5" in text and "bin/explain.py lenet5`" in text
    assert "| Dense | 10 | 0 |  | model output |" in text
    assert (tmp_path / "lenet5.png").stat().st_size > 10_000


def test_explain_reads_files_and_knows_applications(run, tmp_path):
    path = tmp_path / "model.keras"
    inputs = keras.Input((4,), name="features")
    x = layers.LayerNormalization()(layers.Dense(6, name="wide")(inputs))
    exporting.save_keras(keras.Model(inputs, layers.Dense(2)(x)), path)
    code, out, err = run(explain, path)
    assert (code, err) == (0, "")
    assert "6 normalised across channels" in out
    code, out, _ = run(explain, "MobileNetV3Small")
    assert code == 0 and "1,000 model output" in out


@pytest.mark.parametrize("paths", [(), ("a", "b"), ("ResNet5000",), ("Model",)])
def test_explain_takes_one_model(run, paths):
    code, _, err = run(explain, *paths)
    assert code == 1
    assert "Received" in err
