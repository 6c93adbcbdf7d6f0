"""Images in the order in which their labels should be looked at."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mango_grader.datasets import Dataset
from mango_grader.datasets.contradictions import Contradictions
from mango_grader.training.confident_learning import label_order, likely_classes
from mango_grader.workflow.suspects.answers import OutOfFold

__all__ = ["Judgement", "Suspect", "rank_labels"]


@dataclass(frozen=True)
class Judgement:
    """What models say of a label that they did not learn from.

    Attributes:
        credibility: probability of the label, 0..1.
        suggested: the most probable other class.
        probability: of that class, 0..1.
        wrong: whether confident learning takes the label for wrong.
    """

    credibility: float
    suggested: str
    probability: float
    wrong: bool


@dataclass(frozen=True)
class Suspect:
    """An image whose label may be wrong.

    Attributes:
        path: relative to the data folder.
        label: its class.
        group: its fruit.
        same_fruit: path and class of the other images of the fruit, if it has several labels.
        judgement: of models; None where none was asked.
    """

    path: str
    label: str
    group: str
    same_fruit: tuple[tuple[str, str], ...] = ()
    judgement: Judgement | None = None

    @property
    def why(self) -> str:
        """Why it should be looked at, in a few words."""
        reasons = []
        if self.same_fruit:
            others = ", ".join(f"{label} ({path})" for path, label in self.same_fruit if label != self.label)
            reasons.append(f"the same fruit is also {others}")
        if (found := self.judgement) is not None:
            reasons.append(f"{self.label} {found.credibility:.0%}, {found.suggested} {found.probability:.0%}")
        return "; ".join(reasons)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "why": self.why}


def rank_labels(
    dataset: Dataset, contradictions: Contradictions, answers: OutOfFold | None = None
) -> tuple[Suspect, ...]:
    """Return all images that there is something to say of: fruit with several labels, then the least credible labels.

    Images of a fruit with several labels follow one another, the least credible label first.

    Args:
        dataset: N images.
        contradictions: fruit with several labels.
        answers: of models; None where none was asked.
    """
    judged = _judgements(dataset, answers) if answers else {}
    place = {item: number for number, item in enumerate(judged)}

    def credibility(item: int) -> int:
        return place.get(item, len(place))

    divided = sorted(
        (sorted(found, key=credibility) for found in contradictions.sets), key=lambda one: credibility(one[0])
    )
    fruit_of = {item: found for found in divided for item in found}

    def suspect(item: int) -> Suspect:
        paths, names = dataset.paths, dataset.classes
        others = (other for other in fruit_of.get(item, ()) if other != item)
        return Suspect(
            paths[item],
            names[dataset.labels[item]],
            contradictions.groups[item],
            tuple((paths[other], names[dataset.labels[other]]) for other in others),
            judged.get(item),
        )

    return tuple(map(suspect, dict.fromkeys([*fruit_of, *judged])))


def _judgements(dataset: Dataset, answers: OutOfFold) -> dict[int, Judgement]:
    """Return a judgement for each answered item, the least credible label first."""
    labels, probabilities = dataset.labels[answers.items], answers.probabilities
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -1.0
    suggested, likely = others.argmax(1), likely_classes(probabilities, labels)
    return {
        int(answers.items[row]): Judgement(
            float(probabilities[row, labels[row]]),
            dataset.classes[suggested[row]],
            float(probabilities[row, suggested[row]]),
            bool(likely[row] >= 0 and likely[row] != labels[row]),
        )
        for row in label_order(probabilities, labels)
    }
