"""Drawings of a search for filters, layer by layer."""

from matplotlib import ticker

from tfprune import figures


def widths(summary, records):
    """Returns a drawing of the filters left in each layer over a search.

    Args:
        summary: Dict with `search` as of `Method.report`.
        records: List of dicts of `step` and, of a round of the search,
            `filters/<layer>`.

    Returns:
        The figure, or None if nothing was searched.
    """
    rows = summary.get("search")
    names = {row["layer"]: f"filters/{row['layer']}" for row in rows or ()}
    known = [r for r in records if any(key in r for key in names.values())]
    if not known:
        return None
    most = {row["layer"]: row["before"] for row in rows}
    steps = [0, *(record["step"] for record in known)]
    steps.append(1.03 * steps[-1])  # What is left in the end is seen, too.
    shares = [_shares(known, key, most[name]) for name, key in names.items()]
    drawing = figures.blank(8, 1.5 + 0.2 * len(names))
    axes = drawing.subplots()
    image = axes.pcolormesh(
        steps, range(len(names) + 1), shares, cmap="Blues", vmin=0, vmax=1
    )
    axes.set_yticks([n + 0.5 for n in range(len(names))], list(names))
    axes.invert_yaxis()
    axes.tick_params(labelsize=8)
    axes.set_xlabel("training step")
    axes.set_title("Filters left over the search", **figures.TITLE)
    drawing.colorbar(image, ax=axes, format=figures.PERCENT())
    return drawing


def damage(summary):
    """Returns a drawing of the damage of the filters of each layer.

    Args:
        summary: Dict with `search` as of `Method.report`.

    Returns:
        The figure, or None if no half of a search has ended.
    """
    rows = [row for row in summary.get("search", ()) if row["damage"]]
    if not rows:
        return None
    keys = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [
        {**dict(zip(keys, row["damage"])), "label": row["layer"]}
        for row in rows
    ]
    drawing = figures.blank(8, 1.2 + 0.2 * len(rows))
    axes = drawing.subplots()
    axes.bxp(
        boxes,
        orientation="horizontal",
        showfliers=False,
        boxprops={"color": figures.AFTER},
        medianprops={"color": figures.PHASES[1]},
    )
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(ticker.FormatStrFormatter("%g"))
    axes.set_xlabel("mean damage T of a filter, dropped with half of its layer")
    figures.style(axes, "x")
    title = "Damage when all filters were searched last"
    axes.set_title(title, **figures.TITLE)
    return drawing


def _shares(records, key, most):
    """Returns what is left before and after each round; the last known."""
    shares = [1.0]
    for record in records:
        shares.append(record[key] / most if key in record else shares[-1])
    return shares
