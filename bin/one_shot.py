"""Measures criteria on a model that is pruned once and not trained again.

    python bin/one_shot.py --gin_file=gin_configs/resnet20_cifar10_one_shot.gin

The same command continues a sweep that was stopped.
"""

import command
from rich import markdown

from tfprune import comparison
from tfprune import one_shot


def main(argv):
    command.complete(argv, one_shot.one_shot, show)


def show(summary):
    """Returns the tables of a sweep for rich."""
    return markdown.Markdown(comparison.markdown(summary["records"]))


if __name__ == "__main__":
    command.run(main)
