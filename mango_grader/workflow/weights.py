"""A run's weights on disk: safetensors, written whole, read strictly or as far as they fit."""

from pathlib import Path

from torch import Tensor, nn

from mango_grader.errors import MangoError, UsageError
from mango_grader.files import read_json
from mango_grader.models import AnytimeClassifier, NetworkSpec, build_network
from mango_grader.models.imagenet import EFFICIENTNET_LITE0, efficientnet_lite0_state
from mango_grader.models.transfer import fitted_to
from mango_grader.training.tensors import damaged, read_tensors, write_tensors
from mango_grader.workflow.folder import RunFolder


def save_weights(net: nn.Module, path: Path) -> None:
    """Write the network's state."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    write_tensors(path, state)


def load_network(folder: RunFolder, *, before_refit: bool = False) -> AnytimeClassifier:
    """Return the run's trained network, on the CPU; raises UsageError if its training is not finished.

    before_refit: with the weights of the first training, which saw no validation image; only a run that retrains on
    all images has others.
    """
    if not folder.weights.exists():
        raise UsageError(f"{folder.path} has no trained weights yet; finish it with --resume")
    net = build_network(NetworkSpec.from_dict(read_json(folder.network)))
    load_weights(
        net, folder.weights_before_refit if before_refit and folder.weights_before_refit.exists() else folder.weights
    )
    return net


def load_weights(net: nn.Module, path: Path) -> None:
    """Read what `save_weights` wrote of a network of the same kind; raises MangoError for anything else."""
    state, _ = read_tensors(path)
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise damaged(path, error) from error


def load_matching(net: nn.Module, source: str, hint: str = "") -> int:
    """Copy what fits `net` of a run's weights, or of the ImageNet weights named so; return how many tensors did.

    How it is made to fit, `models.transfer` says. Raises UsageError if there are no such weights, or if none fits, for
    which `hint` may say why.
    """
    own = {name: value for name, value in net.state_dict().items() if value.ndim}  # counters alone are no weights
    fitting = fitted_to(own, _named(source))
    if not fitting:
        raise UsageError(f"--init-from: nothing of {source} fits this network{hint}")
    net.load_state_dict(fitting, strict=False)
    return len(fitting)


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
