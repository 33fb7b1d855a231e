"""Prunes a Keras model as gin files say, and exports and reports the result.

    python bin/prune.py --gin_file=gin_configs/lenet_digits_taylor.gin

The same command continues a run that was stopped.
"""

import json

from absl import app
import command
import gin
import keras
from rich import console

from tfprune import files
from tfprune import pruning
from tfprune import replicas
from tfprune import report


def main(argv):
    folder = command.configure(argv)
    config = gin.config_str()
    keras.utils.set_random_seed(command.SEED.value)
    with (
        replicas.make_strategy(command.STRATEGY.value).scope(),
        command.Progress() as progress,
    ):
        gin.get_configurable(pruning.prune)(
            output_dir=str(folder),
            seed=command.SEED.value,
            config=config,
            on_record=progress.show,
        )
    if gin.operative_config_str():
        files.write_text(
            folder / "operative_config.gin", gin.operative_config_str()
        )
    summary = json.loads((folder / "report.json").read_text())
    console.Console().print(report.table(summary))


if __name__ == "__main__":
    app.run(main)
