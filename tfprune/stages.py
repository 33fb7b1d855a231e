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

    Args:
        folder: That of the run.
        phases: As of the function.
    """
    found, before = [], 0
    for phase in phases:
        own = journal.read(pathlib.Path(folder, phase, rounds.RECORDS))
        found += [{**each, "step": before + each["step"]} for each in own]
        before = found[-1]["step"] if found else 0
    return found


def report(phases):
    """Returns what the reports of finished stages say of the whole run.

    Args:
        phases: As of the function.

    Returns:
        dict as of `Method.report`: layers from before the first stage to after
        the last one, and of all else what the last stage says that tells it,
        but for the explanation, which is that of the first.
    """
    reports = [stage.report() for stage in phases.values()]
    first, last = reports[0], reports[-1]
    after = {row["name"]: row["channels_after"] for row in last["layers"]}
    layers = [
        {**row, "channels_after": after[row["name"]]}
        for row in first["layers"]
    ]
    whole = {name: value for each in reports for name, value in each.items()}
    return {**whole, "layers": layers, "explanation": first["explanation"]}
