"""What to know before trusting a model: warnings that its figures give, and the limits of any such model."""

from collections.abc import Iterator

from mango_grader.report.content import ReportData
from mango_grader.report.formatting import percent, points
from mango_grader.runtime.bundle.guessing import MIN_GROUPS
from mango_grader.text import counted

_FEW_GROUPS, _WIDE, _LOW_RECALL, _ILL_CALIBRATED, _LOSS = 50, 0.10, 0.6, 0.10, 0.01


def warnings(data: ReportData) -> tuple[str, ...]:
    """Return what a user must know before grading with the model, one line each, the most important first.

    Whether the model is better than guessing comes first, then whether the search moved; then the run's own notes; then
    warnings about data, figures and exit policy.

    Args:
        data: the content of the report, with figures of one exit at least.
    """
    return (*_of_guessing(data), *_of_search(data), *data.notes, *_of_data(data), *_of_figures(data), *_of_policy(data))


def limits(data: ReportData) -> tuple[str, ...]:
    """Return what the figures of any such model do not cover, one line each.

    Args:
        data: the content of the report, with figures of one exit at least.
    """
    last = data.exits[-1]
    return (
        f"Every image gets one of the classes {', '.join(data.classes)}, even an image without any fruit.",
        f"The figures come from {counted(last.count, 'image')} in {counted(last.groups, 'group')}, taken under the same"
        " conditions as the training images. Another camera, light, background, variety or season can change them:"
        " measure again with “mango-grader evaluate” on your own graded photos.",
        "Intervals cover chance in the choice of test fruit; they do not cover wrong labels or changed conditions.",
        "Temperatures and thresholds were fitted on validation images from the same source; under other conditions,"
        " confidences are less reliable.",
    )


def _of_guessing(data: ReportData) -> Iterator[str]:
    found = data.exits[-1].guessing
    resampled = found.low is not None or found.groups == 1
    if found.verdict != "better" and (resampled or found.groups < MIN_GROUPS):
        yield str(found)


def _of_search(data: ReportData) -> Iterator[str]:
    found = data.movement
    if found is None:
        return
    if not found.moved and (found.decided is not None or found.kept is not None):
        first, *_ = found.sentences
        yield (
            f"THE SEARCH DID NOT MOVE: {first}. Its result is as good as one that is drawn evenly. Give the method more"
            " steps or a higher rate, or take --method random, which costs less."
        )
    if found.pick is not None and not found.pick.clear:
        yield (
            f"The search's scores could not tell its candidates apart: the best of {found.pick.candidates} scored"
            f" {found.pick.lead:.3f} above the median one on the held-out images, and the best of as many equally good"
            f" ones scores up to {found.pick.chance:.3f} above it by chance."
        )


def _of_data(data: ReportData) -> Iterator[str]:
    if data.data is None:
        return
    yield from data.data.findings
    probe = data.data.probe
    if probe is not None and probe.suspicious:
        yield (
            f"Background shortcut: the image border alone predicts {percent(probe.accuracy)} of the labels; always"
            f" answering the commonest class, {percent(probe.majority)}. The model may grade the background: photograph"
            " all grades under the same conditions."
        )


def _of_figures(data: ReportData) -> Iterator[str]:
    last = data.exits[-1]
    low, high = last.accuracy.low, last.accuracy.high
    if low is None or high is None:
        if last.groups == 1:
            yield "All test images belong to one group, so no interval can be given."
    elif low == high:
        yield (
            f"The accuracy is the same in each of {counted(last.groups, 'group')}, so its interval has no width; that"
            " is not a certainty."
        )
    elif last.groups < _FEW_GROUPS or high - low > 2 * _WIDE:
        yield (
            f"Only {counted(last.groups, 'group was', 'groups were')} tested: all that is known is an accuracy"
            f" between {percent(low)} and {percent(high)}."
        )
    for name, recall in zip(data.classes, last.recalls, strict=True):
        if recall is None:
            yield f"No test image is of class {name}: nothing is known about it."
        elif recall.value < _LOW_RECALL:
            yield f"Only {percent(recall.value)} of class {name} are recognised at the last exit."
    if last.calibration_error.value > _ILL_CALIBRATED:
        yield (
            f"Confidences at the last exit are off by {percent(last.calibration_error.value)} on average:"
            " do not read them as probabilities."
        )


def _of_policy(data: ReportData) -> Iterator[str]:
    policy = data.policy
    if policy is not None and policy.loss.value > _LOSS:
        yield (
            f"Stopping early with the policy “{policy.name}” costs {points(policy.loss).lstrip('+')} of accuracy"
            " compared with the last exit; use the policy “full” where that matters."
        )
