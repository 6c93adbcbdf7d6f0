"""The presets of the papers: every published value. Methods and spaces have them as defaults; here are the regimes."""

from dataclasses import replace

from mango_grader.datasets.augment import Augment
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.workflow.presets.base import Preset, Regime


def _mnet(height: int, width: int) -> Regime:
    """MNet §3–4 and Table 1: SGD throughout, horizontal flips, portrait images turned."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.001, final_lr=0.001, momentum=0.9, weight_decay=5e-4)
    return Regime(
        height,
        width,
        TrainRecipe(epochs=100, batch_size=128, weights=sgd, label_smoothing=0.0),
        replace(Augment.none(), horizontal_flip=0.5),
        search_batch=128,
        rotate_portrait=True,
    )


PAPER = Preset(help="the settings of each method's paper (MNet's at 24×32 pixels); days on a CPU", regime=_mnet(24, 32))
PAPER_LARGE = Preset(help="the settings of the MNet paper at 120×160 pixels", regime=_mnet(120, 160))
