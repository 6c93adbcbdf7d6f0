"""Confident learning: which labels are probably wrong, from out-of-fold probabilities (Northcutt et al. 2021).

cleanlab has it too, but brings pandas; what ranking labels needs are these few lines.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["confident_joint", "label_order", "likely_classes"]


def likely_classes(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class that each image likely has, -1 where none is likely, int64 (N,).

    A class is likely where its probability is at least the mean over the images that are labelled with it (t_j in
    Eq. 2), so that a class which a network gives reluctantly needs less than others. Of several, the most probable is
    taken.

    Args:
        probabilities: (N, C), from networks that did not learn from the image.
        labels: int64 (N,), class indices, some of them wrong.

    Example:
        >>> import numpy as np
        >>> probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6], [0.8, 0.2]])
        >>> likely_classes(probabilities, np.array([0, 0, 1, 1, 1])).tolist()
        [0, -1, 1, 1, 0]
    """
    classes = np.arange(probabilities.shape[1])
    known = labels[:, None] == classes
    # A class without an image is never likely.
    thresholds = np.where(known.any(0), (probabilities * known).sum(0) / np.maximum(known.sum(0), 1), np.inf)
    likely = np.where(probabilities >= thresholds, probabilities, -1.0)
    found: NDArray[np.int64] = np.where(likely.max(1) >= 0, likely.argmax(1), -1)
    return found


def confident_joint(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many images with each label likely have each class, int64 (C, C): [label][class], Eq. 1.

    Args:
        probabilities: (N, C), as `likely_classes` takes them.
        labels: int64 (N,), class indices.
    """
    classes = probabilities.shape[1]
    likely = likely_classes(probabilities, labels)
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (labels[likely >= 0], likely[likely >= 0]), 1)
    return joint


def label_order(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of all images, the least credible label first, int64 (N,).

    Credible is a label by its own probability (self-confidence, §3.2). Images with the same keep their order.

    Args:
        probabilities: (N, C), as `likely_classes` takes them.
        labels: int64 (N,), class indices.
    """
    order: NDArray[np.int64] = probabilities[np.arange(len(labels)), labels].argsort(kind="stable")
    return order
