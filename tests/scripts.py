"""Runs a command of bin/ in a process of its own, with a config as text."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def runner(script, config, folder):
    """Returns a function that runs a command, as `subprocess.run` does.

    Args:
        script: File name of the command.
        config: Text of its gin config.
        folder: Where that is written, and where output folders lie.

    Returns:
        A function `(name, *bindings)` of the name of the output folder and gin
        bindings.
    """
    path = folder / "tiny.gin"
    path.write_text(config)

    def run(name, *bindings):
        return subprocess.run(
            [
                sys.executable,
                str(ROOT / "bin" / script),
                f"--gin_file={path}",
                f"--output_dir={folder / name}",
                *(f"--gin_bindings={binding}" for binding in bindings),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
