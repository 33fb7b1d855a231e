"""Shows how well AOFP's damage ranks filters, beside the exact oracle.

    python bin/damage_ranks.py --gin_file=gin_configs/resnet20_aofp_cpu.gin \
        --data_dir=DATA --gin_bindings="WEIGHTS = 'resnet20_cifar10_jpeg.npz'"

The model and the data are those that the config binds to `pruning.prune`; the
model is not trained. Random halves of each layer are dropped in each of
`--steps` training batches, and the mean damage of each filter compared with the
change of the loss that it causes alone on `--oracle_batches` of them: the rank
correlation by Spearman, layer by layer.
"""

import copy

from absl import flags
import command
import keras
import numpy as np
from rich import console
from rich import table
from scipy import stats
import tensorflow as tf

from tfprune import damage as damage_lib
from tfprune import halving
from tfprune import masking
from tfprune import pruning
from tfprune import replicas
from tfprune import scoring
from tfprune.criteria import oracle
from tfprune.methods import aofp

STEPS = flags.DEFINE_integer("steps", 500, "Steps.", lower_bound=1)
ORACLE_BATCHES = flags.DEFINE_integer(
    "oracle_batches", 8, "Batches for the oracle.", lower_bound=1
)


def main(argv):
    command.configure(argv)
    keras.utils.set_random_seed(command.SEED.value)
    bound = command.bindings(pruning.prune)
    # Gin makes what a binding refers to when it is copied.
    model, dataset, loss_fn = (
        copy.deepcopy(bound[name]) for name in ("model", "dataset", "loss_fn")
    )
    graph = _search(bound["method"]).trace(model)
    masked = masking.mask_model(model, graph)
    found = damage_lib.Damage(masked, graph)
    (exact,) = scoring.score(
        masked, graph, oracle.Oracle(), dataset, loss_fn, ORACLE_BATCHES.value
    ).values()
    damages = measured(found, graph.num_units, dataset)
    console.Console().print(show(found.targets, damages, exact))


def _search(method):
    """Returns the first stage of a bound method that searches by AOFP."""
    for stage in copy.deepcopy(method).stages:
        if isinstance(stage, aofp.AOFP):
            return stage
    raise ValueError(
        "The method of the config must search by AOFP. "
        f"Received: {', '.join(command.GIN_FILE.value)}."
    )


def measured(found, num_units, dataset):
    """Returns the mean damages of the units of each target, a list."""
    units = [target.units for target in found.targets]
    search = halving.Halving(
        units, num_units, [0] * len(units), STEPS.value, command.SEED.value
    )
    for number, each in enumerate(units):
        search.search(number, each, 0)
    kept = tf.Variable(tf.ones([num_units]))

    def ablate(inputs, unused_labels):
        ablating = found.ablating(kept)
        ablating(inputs, training=True)
        return ablating.damages()

    batches, ablate = replicas.distribute(dataset.repeat(), ablate)
    for step, batch in zip(range(STEPS.value), batches):
        dropped = search.draw(step)
        kept.assign(1.0 - dropped)
        search.credit(dropped, ablate(batch).numpy())
    return [search.collect(number)[1] for number in range(len(units))]


def show(targets, damages, exact):
    """Returns the rank correlations as a rich table."""
    grid = table.Table("layer")
    for title in ("filters", "Spearman", "of the better half, by the oracle"):
        grid.add_column(title, justify="right")
    ranks, shares = [], []
    for target, damage in zip(targets, damages, strict=True):
        truth, half = exact[target.units], len(target.units) // 2
        ranks.append(stats.spearmanr(damage, truth).statistic)
        better = [np.argsort(x)[:half] for x in (damage, truth)]
        shares.append(len(np.intersect1d(*better)) / half)
        grid.add_row(
            target.name,
            str(len(target.units)),
            f"{ranks[-1]:.2f}",
            f"{shares[-1]:.0%}",
        )
    grid.add_section()
    grid.add_row("mean", "", f"{np.mean(ranks):.2f}", f"{np.mean(shares):.0%}")
    return grid


if __name__ == "__main__":
    command.run(main)
