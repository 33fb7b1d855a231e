"""What the commands share: flags, gin files and the display of progress."""

import pathlib
import time

from absl import app
from absl import flags
import gin
from rich import console as rich_console
from rich import progress as rich_progress

GIN_FILE = flags.DEFINE_multi_string(
    "gin_file", [], "Gin files, in order."
)
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


def configure(argv):
    """Parses the gin files and bindings; returns the output folder.

    The flags are macros that a config can use: `%OUTPUT_DIR`, `%DATA_DIR` and
    `%SEED`.

    Args:
        argv: What is left of the command line.

    Raises:
        app.UsageError: If there is no such file, or gin refuses what it says.
    """
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}.")
    if not GIN_FILE.value:
        raise app.UsageError("Name a config with --gin_file.")
    for path in GIN_FILE.value:
        if not pathlib.Path(path).is_file():
            raise app.UsageError(
                f"--gin_file must name a file. Received: {path!r}."
            )
    default = pathlib.Path("savedmodels", pathlib.Path(path).stem)
    folder = pathlib.Path(OUTPUT_DIR.value or default)
    macros = {
        "OUTPUT_DIR": str(folder),
        "DATA_DIR": DATA_DIR.value,
        "SEED": SEED.value,
    }
    bindings = [f"{name} = {value!r}" for name, value in macros.items()]
    try:
        gin.parse_config_files_and_bindings(
            GIN_FILE.value, [*bindings, *GIN_BINDINGS.value]
        )
    except (ValueError, AttributeError, ImportError, SyntaxError) as error:
        raise app.UsageError(f"The config is wrong: {error}") from error
    return folder


class Progress:
    """Shows the records of a run: a live line, or plain ones in a file."""

    def __init__(self):
        self._console = rich_console.Console()
        self._started = None
        columns = (
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TimeRemainingColumn(),
        )
        self._bar = rich_progress.Progress(*columns, console=self._console)
        self._task = self._bar.add_task("", visible=False)

    def __enter__(self):
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def show(self, record, progress):
        """Shows a record and how far the run is."""
        done, steps = progress
        line = _line(record)
        if self._console.is_terminal:
            self._bar.update(
                self._task,
                description=line,
                completed=done,
                total=steps,
                visible=True,
            )
        else:
            print(f"step {done}/{steps} {line}{self._left(done, steps)}", flush=True)

    def _left(self, done, steps):
        now = time.monotonic()
        if self._started is None:
            self._started = now, done
            return ""
        then, first = self._started
        seconds = (now - then) * (steps - done) / max(1, done - first)
        return f" left {seconds:.0f} s"


def _line(record):
    numbers = {
        "loss": f"{record['loss']:.4f}",
        "macs": f"{record['macs']:,}",
        "units": f"{record['units']:,}",
    }
    if record.get("accuracy") is not None:
        numbers["accuracy"] = f"{record['accuracy']:.2%}"
    text = " ".join(f"{name} {value}" for name, value in numbers.items())
    return f"{record['phase']} {text}"
