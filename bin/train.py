"""Trains a base model as gin files say, and exports and reports it.

    python bin/train.py --gin_file=gin_configs/lenet_digits_base.gin

The same command continues a run that was stopped.
"""

import command
from rich import table

from tfprune import pretraining


def main(argv):
    command.complete(argv, pretraining.train, show)


def show(summary):
    """Returns the figures of a base model as a rich table."""
    grid = table.Table("measure", "value")
    if summary["accuracy"] is not None:
        title = f"{summary['measured_on']} accuracy".capitalize()
        grid.add_row(title, f"{summary['accuracy']:.2%}")
    grid.add_row("Parameters", f"{summary['params']:,}")
    grid.add_row("Multiply-accumulates per example", f"{summary['macs']:,}")
    grid.add_row("Seconds", f"{summary['seconds']:.0f}")
    return grid


if __name__ == "__main__":
    command.run(main)
