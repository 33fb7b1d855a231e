"""Tests for tfprune.replicas."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tests import strategies
from tfprune import replicas


def test_strategies_have_names():
    mirrored = replicas.make_strategy("mirrored")
    assert type(mirrored) is tf.distribute.MirroredStrategy
    one_device = replicas.make_strategy("one_device")
    assert type(one_device) is tf.distribute.OneDeviceStrategy


def test_unknown_strategy_is_refused():
    with pytest.raises(
        ValueError,
        match="one of mirrored, one_device, multi_worker. Received: 'tpu'",
    ):
        replicas.make_strategy("tpu")


def test_one_machine_is_one_worker():
    assert replicas.count_workers() == 1
    with strategies.two_replicas().scope():
        assert replicas.count_workers() == 1


@pytest.mark.parametrize(
    "cluster, count",
    [
        ({}, 1),
        ({"worker": ["a:1"]}, 1),
        ({"worker": ["a:1", "b:1"]}, 2),
        ({"chief": ["a:1"]}, 1),
        ({"chief": ["a:1"], "worker": ["b:1"], "evaluator": ["c:1"]}, 2),
    ],
)
def test_workers_are_those_of_the_cluster(monkeypatch, cluster, count):
    with strategies.two_replicas().scope():
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(cluster)
        )
        extended = tf.distribute.get_strategy().extended
        monkeypatch.setattr(
            extended, "_cluster_resolver", resolver, raising=False
        )
        assert replicas.count_workers() == count


def test_sums_cover_the_parts_of_all_replicas():
    values = np.arange(9, dtype="float32")
    dataset = tf.data.Dataset.from_tensor_slices((values, values**2)).batch(8)

    def sums(inputs, labels):
        count = replicas.count_examples(inputs)
        both = {"inputs": tf.reduce_sum(inputs), "count": [count]}
        return replicas.sum_over_replicas(both), tf.reduce_sum(labels)

    with strategies.two_replicas().scope():
        batches, sums = replicas.distribute(dataset, sums)
        results = tf.nest.map_structure(
            lambda tensor: tensor.numpy(), [sums(batch) for batch in batches]
        )
    assert results == [
        ({"inputs": 28, "count": [8]}, 0 + 1 + 4 + 9),  # of the first replica
        ({"inputs": 8, "count": [1]}, 64),
    ]


def test_nothing_is_kept_of_a_computation_on_one_replica():
    kept = []
    dataset = tf.data.Dataset.from_tensors(([2.0], [3.0]))

    def both(inputs, labels):
        kept.append(weakref.ref(inputs.graph))
        total = replicas.sum_over_replicas([inputs])
        return total, replicas.gather_over_replicas(labels)

    batches, function = replicas.distribute(dataset, both)
    assert [function(batch) for batch in batches] == [([2.0], [3.0])]
    del both, batches, function
    gc.collect()
    assert kept[0]() is None


def test_nothing_sums_to_nothing():
    assert replicas.sum_over_replicas([]) == []
