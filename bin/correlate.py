"""Measures how well criteria agree with the exact oracle.

    python bin/correlate.py \
        --gin_file=gin_configs/resnet20_cifar10_correlation.gin

The same command continues a run that was stopped.
"""

import command
from rich import markdown

from tfprune import correlating
from tfprune import correlation_report


def main(argv):
    command.complete(argv, correlating.correlate, show)


def show(summary):
    """Returns the agreement over all units for rich."""
    return markdown.Markdown(correlation_report.overall(summary))


if __name__ == "__main__":
    command.run(main)
