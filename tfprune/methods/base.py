"""What every method shares: a run that goes on step by step."""


class Method:
    """Decides what to remove from a model, and trains it.

    A method is a machine that `tfprune.prune` turns: `start` builds the run,
    each `step` does one round of it, `finish` returns the final model. All
    that changes in between is in `state`, so that a run can be saved after any
    round and taken up again in another process.
    """

    @property
    def stages(self):
        """The methods that make it up, in their order: by default, itself."""
        return (self,)

    def check(self, model, dataset, loss_fn):
        """Raises an error if the method cannot end as its settings ask.

        It comes before any training, that of the model included.

        Args:
            model: As for `start`.
            dataset: As for `start`; none of it is read.
            loss_fn: As for `start`.

        Raises:
            ValueError: If the settings do not fit the model, or the model
                cannot be made smaller.
            VerificationError: If it then computes something else.
        """

    def start(self, model, dataset, loss_fn, original=None):
        """Builds the run, under the current strategy, before any training.

        Args:
            model: A built `keras.Model`; it is left as it is.
            dataset: `tf.data.Dataset` of batched `(inputs, labels)`, the same
                in every process; it is repeated as needed. In a pipeline, the
                `loops.Stream` of it. A `loops.Loop` reads both.
            loss_fn: Function `(labels, outputs)` to one loss per example.
            original: The model that the whole run began with, of which a
                fraction in a budget is, and from which a student learns.
                Defaults to `model`.

        Raises:
            ValueError: If the settings do not fit the model.
        """
        raise NotImplementedError(f"{type(self).__name__} needs `start`.")

    @property
    def state(self):
        """All that a checkpoint holds: {name: list of `tf.Variable`s}."""
        raise NotImplementedError(f"{type(self).__name__} needs `state`.")

    @property
    def model(self):
        """The model as it is now, the one to evaluate between rounds."""
        raise NotImplementedError(f"{type(self).__name__} needs `model`.")

    @property
    def done(self):
        """Whether no round is left."""
        raise NotImplementedError(f"{type(self).__name__} needs `done`.")

    @property
    def progress(self):
        """How many training steps are done, and how many there are."""
        raise NotImplementedError(f"{type(self).__name__} needs `progress`.")

    def step(self):
        """Does one round.

        Returns:
            A record, a dict with at least `step`, `phase`, `loss`, `units`,
            `params`, `macs` and `pruned`, the number of units that went in
            this round. That of a search also has `halves`, a list of dicts
            that tell what became of each, with its `step`.

        Raises:
            FloatingPointError: If a loss is not finite.
        """
        raise NotImplementedError(f"{type(self).__name__} needs `step`.")

    def finish(self):
        """Returns the final model.

        Raises:
            VerificationError: If it does not compute what `model` does.
        """
        raise NotImplementedError(f"{type(self).__name__} needs `finish`.")

    def report(self, records=()):
        """Returns entries of the report that only the method knows.

        It comes after `finish`.

        Args:
            records: What `step` returned, of all rounds. Defaults to none.

        Returns:
            dict with `layers`, a list of dicts with `name`, `channels_before`,
            `channels_after`, `prunable` and `reason`; `explanation`, the rows
            of that of the graph as dicts; and of a method that removes units,
            `verification` (`max_abs_difference`, `max_abs_output`) and
            `budget` (`resource`, `dense`, `target` and `reached`). A method
            that searches layer by layer adds `search`, a dict for each with
            its name as `layer`; how many filters there were `before` and
            `after`; the `moves`, pairs of a step and how many went; how many
            `halves` were searched; and the `damage` of its filters when all
            were searched last: least, quartiles and most, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} needs `report`.")
