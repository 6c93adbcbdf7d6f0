"""What to know before trusting a model: warnings read off its figures, and the limits of any such model."""

from collections.abc import Iterator

from mango_grader.report.content import ReportData
from mango_grader.report.text import percent, points
from mango_grader.text import counted

_FEW_GROUPS, _WIDE, _LOW_RECALL, _ILL_CALIBRATED, _LOSS = 50, 0.10, 0.6, 0.10, 0.01


def warnings(data: ReportData) -> tuple[str, ...]:
    """Return what matters most, whether it beats guessing; the run's own notes; what its figures warn of."""
    return (*_of_guessing(data), *data.notes, *_of_data(data), *_of_figures(data), *_of_policy(data))


def limits(data: ReportData) -> tuple[str, ...]:
    """Return what the figures do not say, one line each."""
    last = data.exits[-1]
    return (
        f"Every picture is given one of {', '.join(data.classes)}, also one without any fruit.",
        f"The figures come from {counted(last.count, 'image')} of {counted(last.groups, 'group')}, taken as the"
        " training images were. Another"
        " camera, light, background, variety or season can change them: measure again, with `mango-grader evaluate`,"
        " on your own graded photographs.",
        "Intervals tell how far chance in the choice of test fruit may have moved a figure; they do not cover mistaken"
        " labels or a change of conditions.",
        "Temperatures and thresholds were fitted on validation images from the same source; confidences mean less"
        " elsewhere.",
    )


def _of_guessing(data: ReportData) -> Iterator[str]:
    found = data.exits[-1].guessing
    if found.verdict != "better":
        yield str(found)


def _of_data(data: ReportData) -> Iterator[str]:
    if data.data is None:
        return
    yield from data.data.findings
    probe = data.data.probe
    if probe is not None and probe.suspicious:
        yield (
            f"Background shortcut: the image border alone tells {percent(probe.accuracy)} of the labels, the commonest"
            f" class {percent(probe.majority)}. The model may grade the background; photograph all grades alike."
        )


def _of_figures(data: ReportData) -> Iterator[str]:
    last = data.exits[-1]
    low, high = last.accuracy.low, last.accuracy.high
    if low is None or high is None:
        yield "All images are of one group, so no interval can be given."
    elif low == high:
        yield (
            f"No two answers differed in kind on {counted(last.groups, 'group')}; the interval of no width is not a"
            " certainty."
        )
    elif last.groups < _FEW_GROUPS or high - low > 2 * _WIDE:
        yield (
            f"Only {counted(last.groups, 'group was', 'groups were')} tested: the accuracy is known to lie between"
            f" {percent(low)} and {percent(high)}, no closer."
        )
    for name, recall in zip(data.classes, last.recalls, strict=True):
        if recall is None:
            yield f"No test image is of class {name}: nothing is known about it."
        elif recall.value < _LOW_RECALL:
            yield f"Of class {name} only {percent(recall.value)} were recognised at the last exit."
    if last.calibration_error.value > _ILL_CALIBRATED:
        yield (
            f"Confidences at the last exit are off by {percent(last.calibration_error.value)} on average:"
            " do not read them as probabilities."
        )


def _of_policy(data: ReportData) -> Iterator[str]:
    policy = data.policy
    if policy is not None and policy.loss.value > _LOSS:
        yield (
            f"Stopping early by the policy “{policy.name}” costs {points(policy.loss).lstrip('+')} of accuracy"
            " against the last exit; use the policy “full” where that matters."
        )
