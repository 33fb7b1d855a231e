"""What the commands share: flags, gin files, progress and messages."""

import json
import pathlib
import re
import shlex
import sys

from absl import app
from absl import flags
from absl import logging
import gin
import keras
from rich import console
from rich import progress as rich_progress
from rich import table
import tensorflow as tf

from tfprune import files
from tfprune import replicas
from tfprune import runs

GIN_FILE = flags.DEFINE_multi_string("gin_file", [], "Gin files, in order.")
GIN_BINDINGS = flags.DEFINE_multi_string(
    "gin_bindings", [], "Gin bindings, such as 'iterative.Iterative.steps = 9'."
)
OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Folder of the run; savedmodels/<name of the last gin file> by default.",
)
DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of the data sets of tensorflow_datasets."
)
SEED = flags.DEFINE_integer("seed", 0, "Seed of every random draw.")
STRATEGY = flags.DEFINE_enum(
    "strategy",
    "mirrored",
    ["mirrored", "one_device", "multi_worker"],
    "How to use several devices.",
)

WEEK = 7 * 24 * 3600  # seconds
# What gin adds to the message of an error for each call that it passes.
GIN_CALL = re.compile(
    r"\n  In call to configurable '(.+?)' \(<.*?>\)(?: in scope '(.+?)')?"
)


def run(main):
    """Runs a command; an error ends it with a message and no traceback.

    Warnings of tfprune are shown; all that is logged, and the traceback, with
    `--verbosity=1`.

    Args:
        main: Function of the arguments that are no flags.
    """
    app.run(lambda argv: _guarded(main, argv))


def complete(argv, function, show):
    """Does the run that a config describes, if need be; prints its report.

    Args:
        argv: What is left of the command line.
        function: A function of tfprune that the config binds, which takes
            `output_dir`, `seed`, `config`, `command` and `on_record`, and
            writes `report.json`.
        show: Function from the report to what rich prints.
    """
    folder = configure(argv)
    if not bindings(function):
        raise ValueError(
            f"The config must bind the arguments of {function.__name__!r}. "
            f"Received: {', '.join(GIN_FILE.value)}; is it the config of "
            "another command?"
        )
    config = gin.config_str()
    if runs.is_finished(folder, config):
        print(f"Nothing to do: {folder} holds a finished run.")
    else:
        _do(function, folder, config)
    report = folder / "report.json"
    if report.exists():  # Of several workers only the chief writes it.
        console.Console().print(show(json.loads(report.read_text())))


def configure(argv):
    """Parses the gin files and bindings; returns the folder of the run.

    Raises:
        app.UsageError: If an argument is no flag, or there is no gin file.
        ValueError: If gin refuses what the config says.
    """
    if len(argv) > 1:
        raise app.UsageError(f"Every argument is a flag. Received: {argv[1:]}.")
    if not GIN_FILE.value:
        raise app.UsageError("Name a config with --gin_file. Received: none.")
    parse_config()
    name = pathlib.Path(GIN_FILE.value[-1]).stem
    return pathlib.Path(OUTPUT_DIR.value or f"savedmodels/{name}")


def parse_config():
    """Parses the gin files and bindings; a config knows two flags as macros.

    They are `%DATA_DIR` and `%SEED`. Bindings may name what the files import.

    Raises:
        app.UsageError: If there is no such file.
        ValueError: If gin refuses what they say, or a macro is misspelt.
    """
    for path in GIN_FILE.value:
        if not pathlib.Path(path).is_file():
            raise app.UsageError(
                f"--gin_file must name a file. Received: {path!r}."
            )
    macros = {"DATA_DIR": DATA_DIR.value, "SEED": SEED.value}
    for path in GIN_FILE.value:
        gin.parse_config_file(path)
    imports = re.findall(r"^(?:from|import) .+", gin.config_str(), re.MULTILINE)
    assigned = (f"{name} = {value!r}" for name, value in macros.items())
    gin.parse_config([*imports, *GIN_BINDINGS.value, *assigned])
    _check_macros(gin.config_str(), macros)
    gin.finalize()


def bindings(function):
    """Returns {argument: value} of what the config binds of a function."""
    try:
        return gin.get_bindings(function, resolve_references=False)
    except ValueError:  # Nothing in the config names it.
        return {}


class Progress:
    """Shows the records of a run: a live line, or plain ones in a file."""

    def __init__(self):
        self._live = sys.stdout.isatty()
        self._bar = rich_progress.Progress(
            rich_progress.TextColumn(
                "{task.description}", table_column=table.Column(ratio=1)
            ),
            rich_progress.TimeRemainingColumn(compact=True),
            expand=True,
            speed_estimate_period=WEEK,
            disable=not self._live,
        )
        self._tasks = {}

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def show(self, record, progress):
        """Shows a record and how far the run is.

        Args:
            record: Dict with, as far as known, `round`, `phase`, `batch`,
                `loss`, `accuracy`, on validation data, and `macs_kept`.
            progress: How much is done, and how much there is.
        """
        done, total = progress
        run = "round" in record or "run" in record
        stage = record.get("stage", "run" if run else "base")
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task("", total=total)
        task = self._tasks[stage]
        line = _line(record, done, total)
        self._bar.update(task, completed=done, description=line)
        if not self._live:
            left = self._bar.tasks[task].time_remaining
            tail = "" if left is None else f", {left:.0f} s left"
            print(f"{line}{tail}", flush=True)


def _do(function, folder, config):
    strategy = replicas.make_strategy(STRATEGY.value)
    keras.utils.set_random_seed(SEED.value)
    try:
        with strategy.scope(), Progress() as progress:
            gin.get_configurable(function)(
                output_dir=str(folder),
                seed=SEED.value,
                config=config,
                command=shlex.join(["python", *sys.argv]),
                on_record=progress.show,
            )
    finally:
        # An export goes on to its end when it is interrupted.
        begun = (folder / "run.json").exists()
        if begun and strategy.extended.should_checkpoint:
            operative = gin.operative_config_str()
            files.write_text(folder / "operative_config.gin", operative)


def _guarded(main, argv):
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        tf.get_logger().setLevel("ERROR")
    try:
        main(argv)
    except KeyboardInterrupt:
        sys.exit("Stopped; the same command goes on.")
    except Exception as error:
        logging.debug("The error came from here:", exc_info=True)
        sys.exit(_message(error))


def _message(error):
    """Returns what went wrong, and in which call of the config."""
    text = str(error)
    call = GIN_CALL.search(text)
    message = f"{type(error).__name__}: {GIN_CALL.sub('', text)}"
    if call is None:
        return message
    name, scope = call.groups()
    return f"{message}\n  In the call of {f'{scope}/' if scope else ''}{name}."


def _check_macros(config, known):
    """Raises an error for a macro that is used or defined in vain."""
    config = re.sub(r"'[^'\n]*'", "''", config)  # Strings may hold a `%`.
    defined = set(re.findall(r"^(\w+) = ", config, re.MULTILINE))
    used = set(re.findall(r"%(\w+)", config))
    for name in sorted((used ^ defined) - known.keys()):
        raise ValueError(
            f"A macro must be both defined and used. Received: {name!r}, which "
            f"is only {'defined' if name in defined else 'used'}; is it "
            f"misspelt? There are {', '.join(sorted(defined & used))}."
        )


def _line(record, done, total):
    """Returns the figures of a record as a line."""
    data = "validation"
    if "round" in record:
        stage = pathlib.PurePath(record.get("stage", "")).name
        parts = [f"{stage} round {record['round']}".strip()]
        parts.append(f"step {done}/{total}")
    elif "epoch" in record:
        parts = [f"base epoch {done}/{total}"]
    elif "run" in record:
        parts, data = [f"{record['run']}, run {done}/{total}"], "test"
    elif "batch" in record:
        parts = [f"batch {done}/{total}"]
    else:
        parts, data = [f"measurement {done}/{total}"], "test"
    if "loss" in record:
        parts.append(f"loss {record['loss']:.4f}")
    accuracy = record.get("accuracy")
    if accuracy is not None:
        parts.append(f"{data} accuracy {accuracy:.2%}")
    if "macs_kept" in record:
        parts.append(f"MACs kept {record['macs_kept']:.1%}")
    return ", ".join(parts)
