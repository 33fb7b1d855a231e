"""Draws accuracy against sparsity, by each criterion and by all together.

    python bin/experiment.py --gin_file=gin_configs/lenet5_myopic.gin

The same command continues an experiment that was stopped.
"""

import command
from rich import markdown

from tfprune import experiment
from tfprune import experiment_report


def main(argv):
    command.complete(argv, experiment.experiment, show)


def show(summary):
    """Returns the table of an experiment for rich."""
    keys = "runs", "base", "drop"
    text = experiment_report.markdown(*(summary[key] for key in keys))
    return markdown.Markdown(text)


if __name__ == "__main__":
    command.run(main)
