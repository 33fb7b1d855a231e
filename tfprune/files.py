"""Files and folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import shutil

import tensorflow as tf


@contextlib.contextmanager
def atomic(path):
    """Yields a temporary path beside `path` that becomes `path` at the end.

    What the block writes there, a file or a folder, is flushed to the disk and
    renamed. If anything fails it is removed and `path` stays as it was. What a
    killed process leaves is removed by the next write to the same `path`.

    Args:
        path: The file or folder to write. A file is replaced, a folder must
            not exist yet. Missing parents are made.

    Yields:
        A `pathlib.Path` with the suffix of `path`, hidden and in its folder.

    Raises:
        OSError: If it cannot be written; says where, and what to do.
    """
    path = pathlib.Path(path)
    try:
        with _renamed_at_the_end(path) as partial:
            yield partial
    except (OSError, tf.errors.OpError) as error:
        raise OSError(
            "There must be a folder that can be written, with enough space. "
            f"Received: path={str(path)!r}, which failed: {error}; nothing "
            "was left behind, so free space or choose another path."
        ) from error


def write_text(path, text):
    """Writes `text` to the file `path` in UTF-8, whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _renamed_at_the_end(path):
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
    finally:
        _remove(partial)
    _sync(path.parent)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _flush(path):
    for inside in path.rglob("*"):
        _sync(inside)
    _sync(path)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
