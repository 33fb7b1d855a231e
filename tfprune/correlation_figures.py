"""The drawing of how criteria agree with the truth in each layer."""

from tfprune import figures

DARK = 0.6  # From here on white text is easier to read.
SLANTED = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}


def heat_map(values, title):
    """Returns a drawing of correlations, a row for each criterion.

    Args:
        values: {criterion: {layer, or None for all of them: number in [-1, 1],
            or None where it is undefined}}, all of the same layers.
        title: What is drawn.
    """
    columns = list(next(iter(values.values())))
    width = max(3 + 0.4 * len(columns), 6)  # The title needs as much.
    drawing = figures.blank(width, 1.6 + 0.3 * len(values))
    axes = drawing.subplots()
    grid = [[_number(row[name]) for name in columns] for row in values.values()]
    mesh = axes.pcolormesh(grid, cmap="RdBu", vmin=-1, vmax=1)
    axes.set_facecolor(figures.BEFORE)  # Of what is undefined.
    for y, row in enumerate(values.values()):
        for x, name in enumerate(columns):
            _write(axes, x + 0.5, y + 0.5, row[name])
    labels = ["all" if name is None else name for name in columns]
    places = [x + 0.5 for x in range(len(labels))]
    axes.set_xticks(places, labels, **SLANTED)
    axes.set_yticks([y + 0.5 for y in range(len(values))], list(values))
    axes.tick_params(labelsize=8, length=0)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    for x, label in enumerate(columns, 1):
        if label is None:
            axes.axvline(x, color="white", linewidth=4)
    axes.set_title(title, **figures.TITLE)
    drawing.colorbar(mesh, ax=axes, pad=0.01).ax.tick_params(labelsize=8)
    return drawing


def _number(value):
    return float("nan") if value is None else value


def _write(axes, x, y, value):
    """Writes a correlation into its cell."""
    axes.annotate(
        "–" if value is None else f"{value:z.2f}",
        (x, y),
        ha="center",
        va="center",
        fontsize=7,
        color="black" if value is None or abs(value) < DARK else "white",
    )
