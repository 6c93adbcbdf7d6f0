"""The presets of the papers: their training setups, and their networks with the exits that they have there.

Published settings are defaults of the methods and spaces; docs/reference/published-values.md lists them one by one.
The papers' networks have one classifier, except MS-RANAS's. `--set space.exits=…` brings early exits back, which then
deviates from the paper.
"""

from dataclasses import replace

from mango_grader.automl.methods import DsoSettings
from mango_grader.automl.shortlist import ShortlistConfig
from mango_grader.automl.spaces import (
    DagConfig,
    LayerwiseConfig,
    MbconvConfig,
    MultiscaleConfig,
    NasBench201Config,
    NasnetConfig,
    ShufflenetConfig,
)
from mango_grader.datasets.augmentation import Augment
from mango_grader.training.recipe import TrainRecipe, WeightRecipe
from mango_grader.workflow.presets.base import Preset, TrainingSetup

_FLIPPED = replace(Augment.none(), horizontal_flip=0.5)
# CIFAR's: flips, shifts by up to 4 of 32 pixels, and a hole of exactly 16 × 16.
_CIFAR = replace(_FLIPPED, shift=0.125, cutout=0.5, cutout_least=1.0, cutout_probability=1.0)
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
    """DARTS §3 and §A, as we read TNAS-G: holes and auxiliary tower only when the result is trained."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.025, momentum=0.9, weight_decay=3e-4, clip=5.0)
    train = TrainRecipe(epochs=600, batch_size=96, weights=sgd, label_smoothing=0.0, drop_path=0.2, auxiliary=0.4)
    return TrainingSetup(32, 32, train, _CIFAR, search_batch=64, search_cutout=0.0)


def _ms_ranas() -> TrainingSetup:
    """MS-RANAS §4 follows DARTS, but for holes in the search, too, and early exits for its auxiliary tower (ours)."""
    darts = _darts()
    return replace(darts, train=replace(darts.train, auxiliary=0.0), search_cutout=None)


def _dso() -> TrainingSetup:
    """DSO-NAS §4.2; schedule and weight decay are those of Pham et al. 2018, §3.2, without warm restarts (ours)."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.05, final_lr=0.001, momentum=0.9, nesterov=True, weight_decay=1e-4)
    train = TrainRecipe(
        epochs=630, batch_size=128, weights=sgd, label_smoothing=0.0, drop_path=0.5, dropout=0.6, auxiliary=0.4
    )
    return TrainingSetup(32, 32, train, _CIFAR, search_batch=128, search_cutout=0.0)


def _dso_imagenet() -> TrainingSetup:
    """DSO-NAS §4.3, with a cosine for its line; smoothing and auxiliary weight, which it does not print, are usual."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.5, momentum=0.9, nesterov=True, weight_decay=4e-5)
    train = TrainRecipe(epochs=240, batch_size=1024, weights=sgd, label_smoothing=0.1, auxiliary=0.4)
    return TrainingSetup(224, 224, train, _IMAGENET, search_batch=256)


def _betanas() -> TrainingSetup:
    """BetaNAS §4.1: large batches; AutoAugment joins after the search (§4.2)."""
    sgd = WeightRecipe(optimiser="sgd", lr=1.4, warmup=5 / 350, momentum=0.9, weight_decay=2e-5, decay_norms=False)
    train = TrainRecipe(epochs=350, batch_size=2048, weights=sgd, label_smoothing=0.1, dropout=0.2)
    augment = replace(_FLIPPED, policy="imagenet")
    return TrainingSetup(224, 224, train, augment, search_batch=1024, search_policy="none")


def _proxylessnas() -> TrainingSetup:
    """ProxylessNAS: the released code's training on ImageNet."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.05, momentum=0.9, nesterov=True, weight_decay=4e-5, decay_norms=False)
    train = TrainRecipe(epochs=300, batch_size=256, weights=sgd, label_smoothing=0.1)
    return TrainingSetup(224, 224, train, _IMAGENET, search_batch=256)


def _spos() -> TrainingSetup:
    """SPOS §4 (TNAS-OS takes it over), with a cosine for its line."""
    sgd = WeightRecipe(optimiser="sgd", lr=0.5, momentum=0.9, weight_decay=4e-5, decay_norms=False)
    train = TrainRecipe(epochs=240, batch_size=1024, weights=sgd, label_smoothing=0.1)
    return TrainingSetup(224, 224, train, _IMAGENET, search_batch=1024)


# Sizes are put in by `Preset.space`, the number of classes by a run.
_SIZE = 32, 32, 2
_NETWORKS = {
    "layerwise": LayerwiseConfig(*_SIZE, exits=(12,)),
    "dag": DagConfig(*_SIZE, exits=(24,)),
    "nasbench201": NasBench201Config(*_SIZE, exits=(15,)),
    # §4.4: the cell of two nodes is searched with the five layers of §4.1 and trained with seven.
    "multiscale": MultiscaleConfig(*_SIZE, nodes=2, final={"depth": 7, "exits": (2, 3, 4, 5, 6, 7)}),
    # DARTS §3.2 and §A: searched with 8 cells, trained with 20.
    "nasnet": NasnetConfig(
        *_SIZE,
        exits=(8,),
        final={"depth": 20, "channels": 36, "stem_channels": 108, "reduce_at": (7, 14), "exits": (20,)},
    ),
    "mbconv": MbconvConfig(*_SIZE, exits=(6,)),
    "shufflenet": ShufflenetConfig(*_SIZE, exits=(4,)),
}

_AS_FOUND = ShortlistConfig(size=1)  # the method's own result

PAPER = Preset(
    setup=_mnet(24, 32),
    spaces=_NETWORKS,
    setups={
        "ms-ranas": _ms_ranas(),
        "betanas": _betanas(),
        "proxylessnas": _proxylessnas(),
        "dso": _dso(),
        "tnas-os": _spos(),
        "tnas-g": _darts(),
        "spos": _spos(),
    },
    inherit=False,
    shortlist=_AS_FOUND,
)
PAPER_LARGE = Preset(setup=_mnet(120, 160), spaces=_NETWORKS, inherit=False, shortlist=_AS_FOUND)
# The methods that were published on ImageNet; DSO-NAS has four stages there (§4.3). Stem and channels are ours.
PAPER_IMAGENET = Preset(
    setup=_spos(),
    spaces={**_NETWORKS, "dag": DagConfig(*_SIZE, stages=(2, 2, 13, 6), stem_stride=4, exits=(23,))},
    methods={
        "dso": DsoSettings(
            pretrain=30, epochs=30, held_out=0.2, weights=replace(DsoSettings().weights, weight_decay=4e-5)
        )
    },
    setups={"betanas": _betanas(), "proxylessnas": _proxylessnas(), "dso": _dso_imagenet()},
    inherit=False,
    shortlist=_AS_FOUND,
)
