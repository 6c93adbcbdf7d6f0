"""The presets of the papers: published training setups. Published settings are defaults of the methods and spaces."""

from dataclasses import replace

from mango_grader.datasets.augmentation import Augment
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.workflow.presets.base import Preset, TrainingSetup

_FLIPPED = replace(Augment.none(), horizontal_flip=0.5)
# CIFAR's: flips, shifts by up to 4 of 32 pixels, and a hole of 16 (Augment draws its sides from 8 to 16).
_CIFAR = replace(_FLIPPED, shift=0.125, cutout=0.5, cutout_probability=1.0)
# ImageNet's, as far as whole fruit bear it: crops would cut off what is to be graded.
_IMAGENET = replace(_FLIPPED, scale=0.2, brightness=0.4, contrast=0.4, saturation=0.4)


def _mnet(height: int, width: int) -> TrainingSetup:
    """MNet §3–4 and Table 1: SGD throughout, horizontal flips, portrait images turned."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.001, final_lr=0.001, momentum=0.9, weight_decay=5e-4)
    return TrainingSetup(
        height,
        width,
        TrainRecipe(epochs=100, batch_size=128, weights=sgd, label_smoothing=0.0),
        _FLIPPED,
        search_batch=128,
        rotate_portrait=True,
    )


def _darts() -> TrainingSetup:
    """MS-RANAS §4 follows DARTS §3 and §A (as we read TNAS, too); early exits stand for its auxiliary tower."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.025, momentum=0.9, weight_decay=3e-4, clip=5.0)
    train = TrainRecipe(epochs=600, batch_size=96, weights=sgd, label_smoothing=0.0, drop_path=0.2)
    return TrainingSetup(32, 32, train, _CIFAR, search_batch=64)


def _dso() -> TrainingSetup:
    """DSO-NAS §4.2; schedule and weight decay are those of Pham et al. 2018, §3.2, without warm restarts (ours)."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.05, final_lr=0.001, momentum=0.9, nesterov=True, weight_decay=1e-4)
    train = TrainRecipe(
        epochs=630, batch_size=128, weights=sgd, label_smoothing=0.0, drop_path=0.5, dropout=0.6, auxiliary=0.4
    )
    return TrainingSetup(32, 32, train, _CIFAR, search_batch=128)


def _betanas() -> TrainingSetup:
    """BetaNAS §4.1: large batches, AutoAugment."""
    sgd = WeightRecipe(optimiser="sgd", lr=1.4, warmup=5 / 350, momentum=0.9, weight_decay=2e-5, decay_norms=False)
    train = TrainRecipe(epochs=350, batch_size=2048, weights=sgd, label_smoothing=0.1, dropout=0.2)
    return TrainingSetup(224, 224, train, replace(_FLIPPED, policy="imagenet"), search_batch=1024)


def _spos() -> TrainingSetup:
    """SPOS §4 (TNAS-OS takes it over), with a cosine for its line."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.5, momentum=0.9, weight_decay=4e-5, decay_norms=False)
    train = TrainRecipe(epochs=240, batch_size=1024, weights=sgd, label_smoothing=0.1)
    return TrainingSetup(224, 224, train, _IMAGENET, search_batch=1024)


PAPER = Preset(
    setup=_mnet(24, 32),
    setups={
        "ms-ranas": _darts(),
        "betanas": _betanas(),
        "dso": _dso(),
        "tnas-os": _spos(),
        "tnas-g": _darts(),
        "spos": _spos(),
    },
)
PAPER_LARGE = Preset(setup=_mnet(120, 160))
