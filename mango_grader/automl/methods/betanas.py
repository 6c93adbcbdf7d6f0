"""BetaNAS (Fang et al. 2019): all live candidates train equally often, and the least promising are dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mango_grader.automl.evaluate import Score
from mango_grader.automl.limits import Constraint
from mango_grader.automl.methods.base import Round, interleaved, weight_epochs
from mango_grader.automl.methods.gated import GatedMethod, GatedSettings, check_warmup
from mango_grader.automl.movement import Movement, Preference
from mango_grader.automl.relaxations.binary_gates import BinaryGateSettings
from mango_grader.automl.samplers import FairPaths
from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.shared import ArchStep
from mango_grader.automl.supernet import Gates, gates_of
from mango_grader.ranges import BelowOne, Count, CountOrNone, Share
from mango_grader.training.recipe import WeightRecipe


@dataclass(frozen=True)
class BetaNasSettings(GatedSettings):
    """The published values (§4.1); where the paper names none, those of ProxylessNAS's released code.

    The paper's batch of 1,024 images is a setting of the run.

    Attributes:
        epochs: in all, 1 or more; 120, as ProxylessNAS's code has after its warm-up.
        warmup: of these, the first that train weights only, at most `epochs` (Algorithm 1 has none).
        interval: weight steps before each architecture step, the "some steps" of Algorithm 1; 1 or more.
        balance: which live candidates a weight step runs: "uniform" draws (Eq. 2), "round_robin" the least trained
            first, or "none", draws by what the search prefers so far, as ProxylessNAS does.
        drop_below: candidates are dropped below this share, in [0, 1], of the probability that they have under equal
            logits; 0 for never (§3.3 only speaks of a threshold).
        drop_every: epochs from one drop to the next, 1 or more.
        held_out: share of the training part, in [0, 1), that the architecture learns on (50,000 of ImageNet's images).
        binary: of the binary gates.
        weights: how the shared weights learn.

    Raises:
        RangeError: a value is out of range.
        ValueError: there are more warm-up epochs than epochs.
    """

    lengths: ClassVar[tuple[str, ...]] = ("epochs", "warmup")
    epochs: Count = 120
    warmup: CountOrNone = 0
    interval: Count = 5
    balance: Literal["uniform", "round_robin", "none"] = "uniform"
    drop_below: Share = 0.5
    drop_every: Count = 1
    held_out: BelowOne = 0.04
    binary: BinaryGateSettings = BinaryGateSettings()
    weights: WeightRecipe = WeightRecipe(optimiser="sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=4e-5)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_warmup(self.warmup, self.epochs)

    def ignored(self) -> Mapping[str, str]:
        """Return what is for drops where there are none."""
        return {} if self.drop_below else {"drop_every": "nothing is dropped; set drop_below, too"}


class BetaNas(GatedMethod):
    """Phase 1 trains the weights of balanced paths, phase 2 the binary gates with the weights frozen (Algorithm 1).

    The two alternate all through an epoch, and after it come the drops. The result is the architecture of the largest
    logits; where limits forbid it, the nearest feasible one.
    """

    name: ClassVar[str] = "betanas"
    default_space: ClassVar[str] = "mbconv"
    settings_type = BetaNasSettings
    settings: BetaNasSettings
    paper: ClassVar[str] = "Fang et al. 2019, BetaNAS: balanced training and selective drop for NAS"

    def __init__(self, space: SearchSpace, feasible: Constraint, settings: BetaNasSettings | None = None) -> None:
        super().__init__(space, feasible, settings)
        self._paths = FairPaths(space)  # which also counts the paths that are drawn otherwise
        self._epochs = 0

    @property
    def trained(self) -> Mapping[str, NDArray[np.int64]]:
        """Weight steps per candidate, (candidates,) by decision: what Fig. 5 plots."""
        return self._paths.trained

    def schedule(self, steps_per_epoch: int) -> Sequence[Round]:
        """Epochs of weights only, then epochs in which one architecture step follows each `interval` weight steps."""
        left = self.settings.epochs - self.settings.warmup
        both = interleaved(left, steps_per_epoch, self.settings.interval)
        return (*weight_epochs(self.settings.warmup, steps_per_epoch), *both)

    def gates(self, rng: np.random.Generator) -> Gates:
        """Open one path of live candidates, drawn as `settings.balance` says."""
        if self.settings.balance == "round_robin":
            path = self._paths.draw(rng, self.binary.alive())
        else:
            uniform = self.settings.balance == "uniform"
            path = self.binary.sample_evenly(rng) if uniform else self.binary.sample(rng)
            self._paths.count(path)
        return gates_of(path, self.space.decisions)

    def update(self, step: ArchStep) -> Mapping[str, Any]:
        """Take a binary-gate step on the joint loss (Eq. 4 and 6); the weights stay as they are."""
        figures = self.binary.learn(step)
        return {**figures, "live": int(self.binary.live.sum())} if figures else {}

    def end_epoch(self, score: Score, rng: np.random.Generator) -> None:
        """Drop what has fallen behind (Algorithm 1, lines 4 and 5)."""
        self._epochs += 1
        since = self._epochs - self.settings.warmup
        if since > 0 and since % self.settings.drop_every == 0:
            self.binary.drop(self.settings.drop_below)

    def movement(self, before: Preference) -> Movement:
        """Return how far p has moved, and how many candidates have not been dropped."""
        live = self.binary.live
        return replace(super().movement(before), kept=(int(live.sum()), len(live)))

    def state_dict(self) -> dict[str, Any]:
        """Return the binary gates and what was counted."""
        paths = self._paths.state_dict()
        counts = (paths["steps"], self._epochs)
        return {"binary": self.binary.state_dict(), "trained": paths["trained"], "counts": counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.binary.load_state_dict(state["binary"])
        steps, self._epochs = state["counts"]
        self._paths.load_state_dict({"trained": state["trained"], "steps": steps})
