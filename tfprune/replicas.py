"""What a computation on the replicas of a `tf.distribute` strategy needs."""

import tensorflow as tf


def make_strategy(name):
    """Returns the `tf.distribute.Strategy` of a name.

    Args:
        name: `"mirrored"` for all GPUs of this machine, or its CPU;
            `"one_device"` for the first of them; `"multi_worker"` for several
            machines, each started with the same program and its own
            `TF_CONFIG` in the environment.
    """
    strategies = {
        "mirrored": tf.distribute.MirroredStrategy,
        "one_device": _one_device,
        "multi_worker": tf.distribute.MultiWorkerMirroredStrategy,
    }
    if name not in strategies:
        raise ValueError(
            f"The strategy must be one of {', '.join(strategies)}. "
            f"Received: {name!r}."
        )
    return strategies[name]()


def count_workers():
    """Returns the number of machines of the current strategy."""
    resolver = tf.distribute.get_strategy().cluster_resolver
    tasks = resolver.cluster_spec().as_dict() if resolver else {}
    return sum(len(tasks.get(job, ())) for job in ("chief", "worker")) or 1


def distribute(dataset, *replica_fns):
    """Splits every batch of a dataset over the replicas of the strategy.

    Every worker reads all of the dataset, so that the batches are the same for
    any number of workers, and takes its part of each.

    Args:
        dataset: A `tf.data.Dataset` of `(inputs, labels)`.
        *replica_fns: As for `compile`.

    Returns:
        An iterable of the batches, and the functions that `compile` returns.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    strategy = tf.distribute.get_strategy()
    batches = strategy.experimental_distribute_dataset(
        dataset.with_options(options)
    )
    return batches, *compile(batches, *replica_fns)


def compile(batches, *replica_fns):
    """Makes each function one `tf.function` of a batch, under the strategy.

    Args:
        batches: Those of `distribute`.
        *replica_fns: Each called in replica context as `fn(inputs, labels)`
            with one replica's part of a batch, which may be empty.

    Returns:
        A list of functions that return the results of the first replica: those
        of the others are lost unless `fn` gathers or sums over replicas.
    """
    strategy = tf.distribute.get_strategy()

    def on_replicas(replica_fn):
        @tf.function(
            input_signature=[batches.element_spec], autograph=False
        )
        def run(batch):
            return tf.nest.map_structure(
                lambda result: strategy.experimental_local_results(result)[0],
                strategy.run(replica_fn, args=batch),
            )

        return run

    return list(map(on_replicas, replica_fns))


def gather(batch):
    """Returns a batch of `distribute`: the part of this machine, as one."""
    strategy = tf.distribute.get_strategy()
    return tf.nest.map_structure(
        lambda part: tf.concat(strategy.experimental_local_results(part), 0),
        batch,
    )


def sum_over_replicas(values):
    """Returns the sums of a nest of tensors; in replica context."""
    replica = tf.distribute.get_replica_context()
    if not tf.nest.flatten(values) or _is_alone(replica):
        return values
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)


def gather_over_replicas(values):
    """Returns a tensor with the rows of all replicas; in replica context."""
    replica = tf.distribute.get_replica_context()
    return values if _is_alone(replica) else replica.all_gather(values, axis=0)


def count_examples(values):
    """Returns the length of the first axis, a float32 scalar."""
    return tf.cast(tf.shape(values)[0], tf.float32)


def _is_alone(replica):
    """Returns whether there is no other, to communicate with.

    TensorFlow never frees a graph that communicates, nor the weights it reads.
    """
    return replica.num_replicas_in_sync == 1


def _one_device():
    gpus = tf.config.list_logical_devices("GPU")
    return tf.distribute.OneDeviceStrategy("GPU:0" if gpus else "CPU:0")
