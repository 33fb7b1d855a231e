"""Measures criteria on a model that is pruned once and not trained again.

    python bin/one_shot.py --gin_file=gin_configs/resnet20_cifar10_one_shot.gin

The same command continues a sweep that was stopped.
"""

import command
import gin
import keras

from tfprune import one_shot
from tfprune import replicas


def main(argv):
    folder = command.configure(argv)
    keras.utils.set_random_seed(command.SEED.value)
    with replicas.make_strategy(command.STRATEGY.value).scope():
        gin.get_configurable(one_shot.one_shot)(output_dir=str(folder))
    print((folder / "one_shot.md").read_text())


if __name__ == "__main__":
    command.run(main)
