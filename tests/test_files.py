"""Tests for tfprune.files."""

import os

import pytest

from tfprune import files


def names(path):
    return sorted(p.name for p in path.iterdir())


def test_write_text_replaces(tmp_path):
    files.write_text(tmp_path / "a.json", "old")
    files.write_text(tmp_path / "a.json", "müde")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "müde"
    assert names(tmp_path) == ["a.json"]


def test_parents_are_made(tmp_path):
    files.write_text(tmp_path / "b" / "c" / "a.txt", "x")
    assert (tmp_path / "b" / "c" / "a.txt").read_text() == "x"


def test_partial_is_hidden_beside_the_target_with_its_suffix(tmp_path):
    with files.atomic(tmp_path / "model.keras") as partial:
        partial.write_text("x")
        assert partial.parent == tmp_path
        assert partial.name.startswith(".")
        assert partial.suffix == ".keras"
        assert names(tmp_path) == [partial.name]
    assert names(tmp_path) == ["model.keras"]


def test_folders_appear_whole(tmp_path):
    with files.atomic(tmp_path / "1") as partial:
        (partial / "deep").mkdir(parents=True)
        (partial / "deep" / "a.txt").write_text("x")
        assert not partial.name.isdecimal()
        assert not (tmp_path / "1").exists()
    assert (tmp_path / "1" / "deep" / "a.txt").read_text() == "x"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(error), files.atomic(tmp_path / "a.txt") as partial:
        partial.write_text("new")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(OSError), files.atomic(tmp_path / "1") as partial:
        partial.mkdir()
        (partial / "a.txt").write_text("x")
        raise OSError
    assert names(tmp_path) == []


def test_failed_flush_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == []


def test_everything_is_flushed_before_the_rename(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "_sync", lambda p: synced.append(p.name))
    with files.atomic(tmp_path / "1") as partial:
        partial.mkdir()
        (partial / "a.txt").write_text("x")
    assert synced == ["a.txt", ".1.partial", tmp_path.name]


def test_full_folder_is_not_replaced(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "old").write_text("x")
    with pytest.raises(OSError), files.atomic(tmp_path / "1") as partial:
        partial.mkdir()
    assert names(tmp_path) == ["1"]
    assert names(tmp_path / "1") == ["old"]


def test_remains_of_a_killed_process_are_removed(tmp_path):
    killed = files.atomic(tmp_path / "a.txt")
    killed.__enter__().write_text("half")
    assert not (tmp_path / "a.txt").exists()
    files.write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]
