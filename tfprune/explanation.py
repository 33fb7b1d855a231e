"""What may be pruned in a model, as rows that print as a table."""

from typing import NamedTuple


TITLES = (
    "layer",
    "type",
    "channels",
    "prunable",
    "in the groups",
    "the rest stays because",
)
# So many groups of a layer are told in the table.
SHOWN = 4


class Row(NamedTuple):
    """The channels of one layer: each is in a group, or stays for a reason.

    The name is that of the layer, and tells which call if a later one has other
    channels. A group is prunable channels that lie in the same layers. It has
    the name of the first of them, and a number if that layer begins several
    groups.
    """

    name: str
    type: str
    channels: int
    groups: dict  # {group: how many channels belong to it}
    reasons: dict  # {reason: how many channels stay for it}
    counted: bool  # whether the cost holds all its multiply-accumulates

    @property
    def prunable(self):
        """How many channels may go."""
        return sum(self.groups.values())


class Explanation(list):
    """A list of `Row`s, one or more for a layer, that prints as a table."""

    @property
    def uncounted(self):
        """Names of the layers that the multiply-accumulates leave out."""
        return [row.name for row in self if not row.counted]

    def __rich__(self):
        from rich import table
        from rich import text

        grid = table.Table()
        for title in TITLES:
            right = title in ("channels", "prunable")
            justify = "right" if right else "left"
            grid.add_column(title, justify=justify, overflow="fold")
        if self.uncounted:
            names = ", ".join(self.uncounted)
            caption = f"Multiply-accumulates not counted: {names}"
            grid.caption = text.Text(caption)
        for row in self:
            grid.add_row(*map(text.Text, cells(row)))
        return grid

    def __str__(self):
        from rich import console

        screen = console.Console(width=120)
        with screen.capture() as capture:
            screen.print(self)
        return capture.get()


def cells(row):
    """Returns a `Row` as text, a cell for each of `TITLES`."""
    groups = _counted(row.groups, row.channels)
    if len(groups) > SHOWN:
        groups[SHOWN:] = [f"{len(groups) - SHOWN} more"]
    reasons = _counted(row.reasons, row.channels)
    numbers = str(row.channels), str(row.prunable)
    return row.name, row.type, *numbers, ", ".join(groups), ", ".join(reasons)


def _counted(counts, channels):
    """Returns names with their numbers, unless one holds all channels."""
    return [k if n == channels else f"{k} ({n})" for k, n in counts.items()]
