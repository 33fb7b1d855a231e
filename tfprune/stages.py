"""The stages of a run: where their files lie, and what they say together."""

import pathlib

from tfprune import journal
from tfprune import rounds


def phases(method):
    """Returns {folder of a stage in that of the run: the stage}, in order.

    Args:
        method: A `Method`. The only stage of one lies in the folder itself.
    """
    if len(method.stages) == 1:
        return {"": method.stages[0]}
    return {
        f"stages/{number}_{type(stage).__name__}": stage
        for number, stage in enumerate(method.stages, 1)
    }


def records(folder, phases):
    """Returns the records of all stages, whose steps go on from each other.

    So do those of the `halves` of a search.

    Args:
        folder: That of the run.
        phases: As of the function.
    """
    found, before = [], 0
    for phase in phases:
        own = journal.read(pathlib.Path(folder, phase, rounds.RECORDS))
        found += [{**_later(each, before), "stage": phase} for each in own]
        before = found[-1]["step"] if found else 0
    return found


def report(phases, records):
    """Returns what the reports of finished stages say of the whole run.

    Args:
        phases: As of the function.
        records: As of the function.

    Returns:
        dict as of `Method.report`: layers from before the first stage to after
        the last one; those of `search` from before the first search to after
        the last one; and of all else what the last stage says that tells it,
        but for the explanation, which is that of the first.
        With several stages, also `stages`, as for `report.write`.
    """
    reports = [
        stage.report([x for x in records if x["stage"] == phase])
        for phase, stage in phases.items()
    ]
    first, last = reports[0], reports[-1]
    after = {row["name"]: row["channels_after"] for row in last["layers"]}
    layers = [
        {**row, "channels_after": after[row["name"]]}
        for row in first["layers"]
    ]
    whole = {name: value for each in reports for name, value in each.items()}
    if "search" in whole:
        searches = [row for x in reports for row in x.get("search", ())]
        whole["search"] = list(_joined(searches).values())
    if len(phases) > 1:
        whole["stages"] = list(_ends(phases, records))
    return {**whole, "layers": layers, "explanation": first["explanation"]}


def _later(record, steps):
    """Returns a record of a round with more steps before it."""
    later = {**record, "step": steps + record["step"]}
    if "halves" in record:
        later["halves"] = [_later(half, steps) for half in record["halves"]]
    return later


def _joined(searches):
    """Returns {layer: what all searches of it, in order, found together}."""
    found = {}
    for row in searches:
        first = found.get(row["layer"])
        if first is not None:
            row = {
                "layer": row["layer"],
                "before": first["before"],
                "after": row["after"],
                "halves": first["halves"] + row["halves"],
                "moves": first["moves"] + row["moves"],
                "damage": row["damage"] or first["damage"],
            }
        found[row["layer"]] = row
    return found


def _ends(phases, records):
    """Yields what each stage ended with; nothing of one without a round."""
    before = 0
    for phase in phases:
        own = [record for record in records if record["stage"] == phase]
        if own:
            last = own[-1]
            yield {
                "stage": pathlib.PurePath(phase).name,
                "steps": last["step"] - before,
                "accuracy": last.get("accuracy"),
                "params": last["params"],
                "macs": last["macs"],
            }
            before = last["step"]
