"""What may be pruned in a model, as rows that print as a table."""

from typing import NamedTuple


class Row(NamedTuple):
    """What may be pruned of one layer."""

    name: str
    type: str
    channels: int
    prunable: int
    reasons: dict  # {reason: how many channels stay for it}
    counted: bool  # whether the cost holds all its multiply-accumulates


class Explanation(list):
    """A list of `Row`s, one for each layer, that prints as a table."""

    @property
    def uncounted(self):
        """Names of the layers that the multiply-accumulates leave out."""
        return [row.name for row in self if not row.counted]

    def __rich__(self):
        from rich import table

        grid = table.Table("layer", "type")
        for title in ("channels", "prunable"):
            grid.add_column(title, justify="right")
        grid.add_column("the rest stays because")
        if self.uncounted:
            names = ", ".join(self.uncounted)
            grid.caption = f"Multiply-accumulates not counted: {names}"
        for row in self:
            reasons = (f"{why} ({n})" for why, n in row.reasons.items())
            numbers = str(row.channels), str(row.prunable)
            grid.add_row(row.name, row.type, *numbers, ", ".join(reasons))
        return grid

    def __str__(self):
        from rich import console

        screen = console.Console(width=120)
        with screen.capture() as capture:
            screen.print(self)
        return capture.get()
