"""From a folder of labelled photos to those whose labels should be looked at."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mango_grader.datasets import Dataset, pack
from mango_grader.datasets.contradictions import find_contradictions
from mango_grader.datasets.reading import read_dataset
from mango_grader.datasets.reading.reviews import Review, read_review
from mango_grader.datasets.relations import find_relations
from mango_grader.datasets.scan import scan
from mango_grader.errors import UsageError
from mango_grader.progress import Progress, SilentProgress
from mango_grader.runtime import Preprocess
from mango_grader.text import about
from mango_grader.training.confident_learning import confident_joint
from mango_grader.training.device import pick_device
from mango_grader.training.frozen_features import frozen_features
from mango_grader.workflow.suspects.answers import FOLDS, OutOfFold, cross_validate
from mango_grader.workflow.suspects.ranking import Suspect, rank_labels
from mango_grader.workflow.suspects.runs import answers_of_runs

__all__ = ["Suspects", "SuspectsOptions", "find_suspects"]

_SIDE = 128  # pixels; 160 found no more
_NO_FRUIT = (
    "many groups of --group-by hold several classes, so they are not single fruit; only photos that look alike are"
)
_SHARE, _FEWEST, _MOST = 0.1, 20, 200


@dataclass(frozen=True, kw_only=True)
class SuspectsOptions:
    """How suspects are looked for.

    Attributes:
        data: folder of labelled images, or its label CSV.
        group_by: which images belong together, as `read_dataset` takes it.
        labels: CSV of earlier decisions; they count, and their images are not shown again.
        runs: finished runs or comparisons whose answers to their test images judge the labels; () cross-validates.
        seed: of the cross-validation's folds; None is 0.
        top: number of images to show; None is a tenth of them, 20 to 200.

    Raises:
        UsageError: there is a seed beside runs, which draw nothing.
    """

    data: str
    group_by: str | None = None
    labels: str | None = None
    runs: tuple[str, ...] = ()
    seed: int | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        if self.runs and self.seed is not None:
            raise UsageError("--seed is of the cross-validation; with --run nothing is drawn: leave one of them out")


@dataclass(frozen=True, eq=False)
class Suspects:
    """The images of a data set, the most doubtful label first.

    Attributes:
        dataset: N images, earlier decisions applied.
        ranked: all that there is something to say of, without those that were decided before.
        shown: how many of them are shown.
        source: what judged the labels.
        wrong: estimated number of images by label and likely class (the confident joint): [label][class].
        notes: what to know about it, one line each.
        decided: earlier decisions.
    """

    dataset: Dataset
    ranked: tuple[Suspect, ...]
    shown: int
    source: str
    wrong: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...]
    decided: Review | None = None

    @property
    def first(self) -> tuple[Suspect, ...]:
        """Those that are shown."""
        return self.ranked[: self.shown]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "data": str(self.dataset.root),
            "images": len(self.dataset.items),
            "classes": list(self.dataset.classes),
            "source": self.source,
            "shown": self.shown,
            "confident_joint": [list(row) for row in self.wrong],
            "notes": list(self.notes),
            "ranked": [each.to_dict() for each in self.ranked],
        }


def find_suspects(options: SuspectsOptions, progress: Progress | None = None) -> Suspects:
    """Return images whose labels may be wrong, the most doubtful first; nothing is changed.

    Fruit that carry several labels come first, without asking a model. Then come the labels that are least credible by
    models that did not learn from them, or from other photos of the same fruit: confident learning (Northcutt et al.
    2021).

    Args:
        options: what to look at, and how.
        progress: shows how far it is.

    Raises:
        UsageError: data, reviewed labels or runs cannot be used, or nothing can judge the labels.

    Example:
        ```python
        from mango_grader.workflow.suspects import SuspectsOptions, find_suspects

        for suspect in find_suspects(SuspectsOptions(data="mangos")).first:
            print(suspect.path, suspect.label, suspect.why)
        ```
    """
    progress = progress or SilentProgress()
    dataset = read_dataset(options.data, options.group_by, labels=options.labels)
    facts = scan(dataset, progress)
    relations = find_relations(dataset, facts, progress, check_given=True)
    contradictions = find_contradictions(relations)
    notes = relations.skipped + relations.unchecked + (() if contradictions.groups_are_fruit else (_NO_FRUIT,))
    if options.runs:
        answers = answers_of_runs(options.runs, dataset, contradictions.groups, progress)
    else:
        answers = _cross_validated(dataset, contradictions.groups, options.seed or 0, progress)
    decided = None if options.labels is None else read_review(options.labels)
    before = {each.path for each in decided.decisions if each.reviewed} if decided else set()
    ranked = tuple(each for each in rank_labels(dataset, contradictions, answers) if each.path not in before)
    divided = sum(bool(each.same_fruit) for each in ranked)
    share = round(_SHARE * len(dataset.items))
    shown = max(divided, min(max(share, _FEWEST), _MOST)) if options.top is None else options.top
    joint = confident_joint(answers.probabilities, dataset.labels[answers.items])
    return Suspects(
        dataset,
        ranked,
        min(shown, len(ranked)),
        answers.source,
        tuple(tuple(row) for row in joint.tolist()),
        (*notes, *answers.notes),
        decided,
    )


def _cross_validated(dataset: Dataset, groups: Sequence[str], seed: int, progress: Progress) -> OutOfFold:
    # On Windows a mapped file cannot be removed.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        packed = pack(dataset, Preprocess(_SIDE, _SIDE), folder, progress)
        features = frozen_features(packed.images, pick_device(), progress)
    own = [groups[item] for item in packed.index.tolist()]
    probabilities = cross_validate(features, packed.labels, own, len(dataset.classes), seed)
    errors = list(packed.errors)
    left_out = (about(errors, "image", "that cannot be read"),) if errors else ()
    source = f"regression on ImageNet features, {FOLDS} folds by group"
    return OutOfFold(packed.index, probabilities, source, left_out)
