"""A run's weights on disk: safetensors, read strictly or as far as they fit."""

from pathlib import Path

from torch import Tensor, nn

from mango_grader.automl.supernet import Supernet
from mango_grader.errors import MangoError, UsageError
from mango_grader.files import read_json
from mango_grader.models import AnytimeClassifier, NetworkSpec, build_network, imagenet
from mango_grader.models.imagenet import EFFICIENTNET_LITE0, efficientnet_lite0_state
from mango_grader.models.transfer import fitted_to
from mango_grader.training.checkpoint import damaged, read_tensors, write_tensors
from mango_grader.workflow.config import AUTO
from mango_grader.workflow.run.folder import RunFolder


def save_weights(net: nn.Module, path: Path) -> None:
    """Write a network's state as safetensors.

    Args:
        net: the network.
        path: of the file.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    write_tensors(path, state)


def load_network(folder: RunFolder, *, before_refit: bool = False) -> AnytimeClassifier:
    """Return a run's trained network, on the CPU.

    Args:
        folder: of the run.
        before_refit: take the weights of the first training, which saw no validation image; only a run that retrains
            on all images has others.

    Raises:
        UsageError: the training is not finished.
    """
    if not folder.weights.exists():
        raise UsageError(f"{folder.path} has no trained weights yet; finish it with --resume")
    net = build_network(NetworkSpec.from_dict(read_json(folder.network)))
    load_weights(
        net, folder.weights_before_refit if before_refit and folder.weights_before_refit.exists() else folder.weights
    )
    return net


def load_weights(net: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote of a network of the same kind.

    Args:
        net: takes over the weights.
        path: of the file.

    Raises:
        MangoError: the file is damaged, or of another network.
    """
    state, _ = read_tensors(path)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise damaged(path, error) from error


def named_start(source: str | None) -> str | None:
    """Return what weights start from where that is left to the program: "auto" means ImageNet's, if they are installed.

    Args:
        source: a finished run folder, the name of ImageNet weights, "auto", or None to start afresh.
    """
    if source != AUTO:
        return source
    return EFFICIENTNET_LITE0 if imagenet.is_installed() else None


def load_matching(net: nn.Module, source: str, hint: str = "") -> int:
    """Copy the weights that fit a network, and return how many tensors those are; see `models.transfer`.

    Args:
        net: takes over the weights.
        source: a finished run folder, the name of ImageNet weights, or "auto", of which nothing need fit.
        hint: a possible reason why nothing fits, for the message.

    Raises:
        UsageError: there are no such weights, or none of those that were named fits.
    """
    own = {name: value for name, value in net.state_dict().items() if value.ndim}  # counters alone are no weights
    named = named_start(source)
    fitting = {} if named is None else fitted_to(own, _named(named), net.shared if isinstance(net, Supernet) else ())
    if not fitting and source != AUTO:
        raise UsageError(f"--init-from: no weights of {source} fit this network{hint}")
    net.load_state_dict(fitting, strict=False)
    return len(fitting)


def started_from(net: nn.Module, source: str | None) -> str | None:
    """Return where the weights come from that a network starts with; None where "auto" finds none that fit.

    Args:
        net: the network.
        source: as `load_matching` takes it, or None.
    """
    if source != AUTO:
        return source
    return named_start(AUTO) if load_matching(net, AUTO) else None


def _named(source: str) -> dict[str, Tensor]:
    if source == EFFICIENTNET_LITE0:
        return efficientnet_lite0_state()
    path = RunFolder(Path(source)).weights
    if not path.exists():
        raise UsageError(f"--init-from: no trained weights at {path}; name a finished run or {EFFICIENTNET_LITE0}")
    try:
        return read_tensors(path)[0]
    except MangoError as error:
        raise UsageError(f"--init-from: {path} is damaged; name another run, or train that one again") from error
