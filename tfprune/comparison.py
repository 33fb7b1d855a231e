"""How criteria compare: the tables and the drawing of a sweep."""

from tfprune import figures
from tfprune import files
from tfprune import journal
from tfprune import report


def markdown(records):
    """Returns the accuracies of a sweep as a title and a table for each part.

    Args:
        records: As `one_shot.one_shot` returns them.
    """
    text = [f"Test accuracy of the base model: {records[0]['accuracy']:.2%}."]
    for title, rows in _tables(records).items():
        shares = [f"{share:.0%}" for share in next(iter(rows.values()))]
        cells = [
            (name, *(f"{100 * accuracy:.1f}" for accuracy in row.values()))
            for name, row in rows.items()
        ]
        table = report.grid(("MACs removed", *shares), cells, shares)
        text += [f"{title}:", table]
    return "\n\n".join(text) + "\n"


def write(folder, records, origin):
    """Writes `one_shot.md`, `one_shot.png` and, last, `report.json`.

    Args:
        folder: Output folder.
        records: As for `markdown`.
        origin: {name: value}, what else the report holds.

    Raises:
        OSError: If a file cannot be written.
    """
    files.write_text(folder / "one_shot.md", markdown(records))
    base = {0.0: records[0]["accuracy"]}
    panels = {
        title: {name: base | row for name, row in rows.items()}
        for title, rows in _tables(records).items()
    }
    with files.atomic(folder / "one_shot.png") as partial:
        figures.sweep(panels).savefig(partial)
    summary = {"records": records, **origin, "versions": report.versions()}
    journal.write(folder / "report.json", summary)


def _tables(records):
    """Returns {title: {criterion: {removed: accuracy}}}."""
    tables = {}
    for record in records[1:]:
        title = f"{record['part']}, {record['when']}"
        row = tables.setdefault(title, {}).setdefault(record["criterion"], {})
        row[record["removed"]] = record["accuracy"]
    return tables
