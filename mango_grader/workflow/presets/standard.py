"""The preset for one GPU and about an hour."""

from mango_grader.automl.methods import EnasSettings, RandomSettings
from mango_grader.datasets.augment import Augment
from mango_grader.training.recipe import TrainRecipe
from mango_grader.workflow.presets.base import Preset, Regime
from mango_grader.workflow.presets.quick import CONTROLLER, SHARED_ADAMW, compact_layerwise

_SIZE = 224

STANDARD = Preset(
    help="one GPU, about an hour: 224×224 pixels, wider and longer",
    regime=Regime(_SIZE, _SIZE, TrainRecipe(epochs=200, batch_size=64), Augment(), search_batch=64),
    spaces={
        "layerwise": compact_layerwise(_SIZE, _SIZE, channels=64, stem=32, exits=(3, 6, 9, 12), dilations=(1, 2)),
    },
    methods={
        "enas": EnasSettings(epochs=100, steps=2000, paths=4, samples=100, weights=SHARED_ADAMW, controller=CONTROLLER),
        "random": RandomSettings(epochs=100, samples=500, weights=SHARED_ADAMW),
    },
)
