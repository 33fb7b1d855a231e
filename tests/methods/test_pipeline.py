"""Tests for tfprune.methods.pipeline."""

import keras
import pytest

from tests import tiny_run
from tfprune import losses
from tfprune import training
from tfprune.methods import fine_tuning
from tfprune.methods import pipeline


def trainer(optimizer=None):
    return training.Trainer(optimizer or keras.optimizers.SGD(0.05))


def stage(own=None):
    return fine_tuning.FineTuning(own or trainer(), steps=3)


def test_stages_come_in_their_order():
    stages = [stage(), stage(), stage()]
    assert pipeline.Pipeline(stages).stages == tuple(stages)


def test_pipelines_are_unrolled():
    stages = [stage(), stage(), stage()]
    inner = pipeline.Pipeline(stages[:2])
    assert pipeline.Pipeline([inner, stages[2]]).stages == tuple(stages)


def test_single_method_is_its_own_stage():
    alone = stage()
    assert alone.stages == (alone,)


@pytest.mark.parametrize("stages", [[], None, (x for x in ())])
def test_stages_must_be_a_list(stages):
    with pytest.raises(ValueError, match="`stages` must be a list of Methods"):
        pipeline.Pipeline(stages)


def test_stages_must_be_methods():
    with pytest.raises(ValueError, match="`stage` must be a Method"):
        pipeline.Pipeline([stage(), fine_tuning.FineTuning])


def test_each_stage_has_a_trainer_of_its_own():
    own = trainer()
    with pytest.raises(ValueError, match="one trainer in several stages"):
        pipeline.Pipeline([stage(own), stage(own)])
    optimizer = keras.optimizers.SGD(0.05)
    with pytest.raises(ValueError, match="one optimizer in several stages"):
        pipeline.Pipeline([stage(trainer(optimizer)) for _ in range(2)])


def test_all_stages_are_checked_before_the_first():
    distilled = training.Trainer(
        keras.optimizers.SGD(0.05), distillation=losses.Distillation()
    )
    inputs = keras.Input((6, 6, 2))
    model = keras.Model(inputs, [inputs, keras.layers.Dense(1)(inputs)])
    run = pipeline.Pipeline([stage(), stage(distilled)])
    with pytest.raises(ValueError, match="with one output"):
        run.check(
            model,
            tiny_run.examples().batch(8),
            lambda labels, outputs: keras.ops.mean(outputs[1], (1, 2, 3)),
        )
