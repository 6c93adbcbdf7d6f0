"""Ideas that may close the gap to a pretrained network: each changes one thing of the plain recipe, or adds two up."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from mango_grader import SearchOptions
from mango_grader.models.imagenet import EFFICIENTNET_LITE0
from mango_grader.progress import Progress, make_progress
from mango_grader.workflow.comparison.entries import Entry, Searched, Trained
from mango_grader.workflow.comparison.outcomes import ComparedRun
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.run.folder import RunFolder

PLAIN = "plain"
_FRONT, _WHOLE = Trained("efficientnet_lite0_front_halved"), Trained("efficientnet_lite0_front")
_IN_DAG, _MSDNET = Searched("random", "dag"), Trained("msdnet")


@dataclass(frozen=True)
class Beside:
    """What ideas need beside the graded fruit, as far as it is there: paths."""

    teacher: str | None
    unlabelled: str | None
    other_fruit: str | None


@dataclass(frozen=True)
class Idea:
    """What is tried: a network or a search, how far it is from the plain recipe, and what it needs beside the fruit.

    other_fruit: the start is a run on other fruit, itself started from `init_from`.
    """

    entry: Entry = _FRONT
    settings: tuple[str, ...] = ()
    init_from: str | None = EFFICIENTNET_LITE0
    size: int = 128
    distilled: bool = False
    unlabelled: bool = False
    other_fruit: bool = False
    max_macs: int | None = None

    def possible(self, beside: Beside) -> bool:
        needs = {"distilled": beside.teacher, "unlabelled": beside.unlabelled, "other_fruit": beside.other_fruit}
        return all(there for need, there in needs.items() if getattr(self, need))

    def config(self, place: Mapping[str, Any], beside: Beside) -> RunConfig:
        options = SearchOptions(
            **{**place, "settings": (*_PLAIN_AUGMENTATION, *place["settings"], *self.settings)},
            size=(self.size, self.size),
            init_from=beside.other_fruit if self.other_fruit else self.init_from,
            teacher=beside.teacher if self.distilled else None,
            unlabelled=beside.unlabelled if self.unlabelled else None,
            max_macs=self.max_macs,
        )
        return self.entry.config(options)


# What ideas are compared with: the preset has since taken over the wider one.
_PLAIN_AUGMENTATION = (
    *("augment.rotate=20", "augment.scale=0.12", "augment.brightness=0.15", "augment.contrast=0.15"),
    *("augment.saturation=0.15", "augment.hue=0.01", "augment.cutout_probability=0.5"),
)
WIDER = (
    *("augment.rotate=30", "augment.scale=0.2", "augment.brightness=0.2", "augment.contrast=0.2"),
    *("augment.saturation=0.2", "augment.hue=0.02", "augment.cutout_probability=0"),
)
"""Settings of the augmentation that paid."""
_CHEAPER = "space.expansions=[2,3]"  # seeing the whole image costs so much that dearer blocks would break the limit
IDEAS: Mapping[str, Idea] = {
    PLAIN: Idea(),
    "not pretrained": Idea(init_from=None),
    "average of weights (EMA)": Idea(settings=("train.ema=0.98",)),
    "last exit weighs most": Idea(settings=("train.exit_weights=[0.2,0.2,1]",)),
    "no gradient from earlier exits": Idea(settings=("train.exit_gradient=0",)),
    "no cutout": Idea(settings=("augment.cutout_probability=0",)),
    "3× the epochs": Idea(settings=("train.epochs=120",)),
    "rotated by any angle": Idea(settings=("augment.rotate=180",)),
    "stronger augmentation, no cutout": Idea(settings=WIDER),
    "AutoAugment": Idea(settings=("augment.policy=imagenet",)),
    "distilled": Idea(distilled=True),
    "retrained on all images": Idea(settings=("retrain_on_all=true",)),
    "distilled, retrained on all images": Idea(distilled=True, settings=("retrain_on_all=true",)),
    "distilled, 3× the epochs": Idea(distilled=True, settings=("train.epochs=120",)),
    "distilled, with unlabelled fruit": Idea(distilled=True, unlabelled=True),
    "distilled, stronger augmentation, 3× the epochs": Idea(distilled=True, settings=(*WIDER, "train.epochs=120")),
    "distilled, stronger augmentation, 6× the epochs": Idea(distilled=True, settings=(*WIDER, "train.epochs=240")),
    "first trained on other fruit": Idea(other_fruit=True),
    "images of 64 pixels": Idea(_WHOLE, size=64),
    "not halved, 4 times the MACs": Idea(_WHOLE),
    "searched by spos": Idea(Searched("spos", "lite"), max_macs=13_000_000),
    "searched by betanas": Idea(Searched("betanas", "lite"), max_macs=13_000_000),
    "searched at random": Idea(Searched("random", "lite"), max_macs=13_000_000),
    "searched at random, resolution too": Idea(
        Searched("random", "lite"), settings=("space.halving=searched", _CHEAPER), max_macs=13_000_000
    ),
    "searched at random, first trained on other fruit": Idea(
        Searched("random", "lite"), other_fruit=True, max_macs=13_000_000
    ),
    "searched in dag": Idea(_IN_DAG, init_from=None, max_macs=13_000_000),
    "searched in dag, retrained on all images": Idea(
        _IN_DAG, settings=("retrain_on_all=true",), init_from=None, max_macs=13_000_000
    ),
    "searched in dag, distilled": Idea(_IN_DAG, init_from=None, max_macs=13_000_000, distilled=True),
    "searched in dag, distilled, 3× the epochs": Idea(
        _IN_DAG, settings=("train.epochs=120",), init_from=None, max_macs=13_000_000, distilled=True
    ),
    "ShuffleNetV2 ×0.5": Idea(Trained("shufflenet_v2_x0_5"), init_from=None),
    "MSDNet of 88 pixels": Idea(_MSDNET, init_from=None, size=88),
    "MSDNet of 88 pixels, distilled": Idea(_MSDNET, init_from=None, size=88, distilled=True),
    "MSDNet, twice the MACs": Idea(_MSDNET, init_from=None),
}


@dataclass(frozen=True)
class Named:
    """An entry under the name of its idea."""

    name: str
    entry: Entry

    def run(self, out: Path, config: RunConfig, progress: Progress) -> RunFolder:
        return self.entry.run(out, config, progress)


def on_other_fruit(data: str, group_by: str | None, work: Path, epochs: int) -> str:
    """Train the plain recipe on other fruit, unless that is done, and return its run folder."""
    settings = (*_PLAIN_AUGMENTATION, f"train.epochs={epochs}")
    options = SearchOptions(
        data=data, group_by=group_by, size=(128, 128), init_from=EFFICIENTNET_LITE0, settings=settings, seed=0
    )
    run = ComparedRun(Named("other fruit", _FRONT), 1, _FRONT.config(options))
    if (outcome := run.perform(work, make_progress("plain"))).error:
        raise click.ClickException(f"--other-fruit {data}: {outcome.error}")
    return str(work / run.folder)
