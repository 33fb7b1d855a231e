"""Prunes a Keras model as gin files say, and exports and reports the result.

    python bin/prune.py --gin_file=gin_configs/lenet_digits_taylor.gin

The same command continues a run that was stopped.
"""

import command

from tfprune import pruning
from tfprune import report


def main(argv):
    command.complete(argv, pruning.prune, report.table)


if __name__ == "__main__":
    command.run(main)
