"""Tests for tfprune.rules.recurrent."""

import keras
import numpy as np
import pytest
from keras import layers

from tfprune import compaction
from tfprune import costs
from tfprune import tracing

LAYERS = {
    "LSTM": lambda: layers.LSTM(4, name="rnn"),
    "GRU": lambda: layers.GRU(4, name="rnn"),
    "SimpleRNN": lambda: layers.SimpleRNN(4, name="rnn"),
    "both": lambda: layers.Bidirectional(layers.LSTM(2), name="rnn"),
    "sum": lambda: layers.Bidirectional(
        layers.GRU(4), merge_mode="sum", name="rnn"
    ),
}


def network(layer):
    inputs = keras.Input((5, 3))
    x = layer(layers.Dense(6, activation="sigmoid", name="before")(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.Dense(3)(x)))


@pytest.mark.parametrize("name", LAYERS)
def test_channels_that_are_read_can_be_pruned_and_the_units_stay(name):
    model = network(LAYERS[name]())
    graph = tracing.trace(model)
    rows = {row.name: row for row in graph.explain()}
    assert rows["before"].prunable == 6
    assert rows["rnn"].reasons == {"fed back by a recurrent layer": 4}
    assert rows["rnn"].counted
    keep = np.ones(graph.num_units, bool)
    keep[graph.layer_units("before")[:4]] = False
    small = compaction.compact(model, graph, keep)
    assert small.get_layer("before").units == 2
    assert costs.cost(small) == costs.cost(model, graph, keep)


def test_cost_by_hand():
    model = network(LAYERS["LSTM"]())
    cell = 6 * 16 + 4 * 16
    assert costs.cost(model).macs == 5 * (3 * 6 + cell) + 4 * 3 + 3 * 2


def test_state_to_begin_with_stays():
    inputs = keras.Input((5, 3))
    state = layers.Dense(4, name="state")(inputs[:, 0])
    x = layers.GRU(4)(initial_state=state, sequences=layers.Dense(6)(inputs))
    graph = tracing.trace(keras.Model(inputs, layers.Dense(2)(x)))
    rows = {row.name: row for row in graph.explain()}
    assert rows["state"].reasons == {"fed back by a recurrent layer": 4}
    assert sum(row.prunable for row in rows.values()) == 6


def test_bidirectional_around_others_has_no_rule():
    cell = layers.StackedRNNCells([layers.LSTMCell(4)])
    graph = tracing.trace(network(layers.Bidirectional(layers.RNN(cell))))
    assert not graph.prunable[graph.layer_units("before")].any()
