"""Tests for tfprune.correlation_report."""

import json

from tfprune import correlation_report


def row(criterion, layer, units, spearman, overlap=0.5):
    return {
        "criterion": criterion,
        "layer": layer,
        "units": units,
        "pearson": 0.25,
        "spearman": spearman,
        "kendall": 0.125,
        "overlap": overlap,
    }


SUMMARY = {
    "rows": [
        row("none", None, 7, None, None),
        row("none", "a", 3, None),
        row("none", "b", 4, None),
        row("worse", None, 7, -0.0001),
        row("worse", "a", 3, 0.5),
        row("worse", "b", 4, None),
        row("better|best", None, 7, 0.75),
        row("better|best", "a", 3, 0.5),
        row("better|best", "b", 4, 1.0),
    ],
    "truth": "Oracle",
    "removed": 0.3,
    "batches": 4,
}
OVERALL = """\
Agreement with Oracle over 7 units (batches: 4); overlap of the 30% that \
would be removed:

| criterion | Spearman | Kendall | Pearson | Overlap | \
Spearman, mean of layers |
| --- | ---: | ---: | ---: | ---: | ---: |
| better\\|best | 0.750 | 0.125 | 0.250 | 0.500 | 0.750 |
| worse | 0.000 | 0.125 | 0.250 | 0.500 | 0.500 |
| none | – | 0.125 | 0.250 | – | – |"""
BY_LAYER = """

Spearman by layer:

| layer | units | better\\|best | worse | none |
| --- | ---: | ---: | ---: | ---: |
| all | 7 | 0.750 | 0.000 | – |
| a | 3 | 0.500 | 0.500 | – |
| b | 4 | 1.000 | – | – |
"""


def test_the_best_criterion_comes_first():
    assert correlation_report.overall(SUMMARY) == OVERALL
    assert correlation_report.markdown(SUMMARY) == OVERALL + BY_LAYER


def test_all_files_are_written(tmp_path):
    correlation_report.write(tmp_path, SUMMARY | {"seed": 3})
    assert {path.name for path in tmp_path.iterdir()} == {
        "correlation.md",
        "correlation.png",
        "report.json",
    }
    written = json.loads((tmp_path / "report.json").read_text())
    assert written == SUMMARY | {"seed": 3}
