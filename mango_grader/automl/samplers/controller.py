"""The LSTM controller of ENAS (Pham et al. 2018, §2.1; MNet §3.1): decides token by token, learns by REINFORCE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace, Tokens
from mango_grader.ranges import Channels, NotNegative, Positive, Ranged, Share


@dataclass(frozen=True)
class ControllerSettings(Ranged):
    """How the controller decides and learns.

    Attributes:
        hidden: LSTM units (MNet §3.1: 100).
        lr: of Adam, above 0 (MNet Table 1: 0.1).
        baseline_decay: of the moving-average baseline b, in [0, 1].
        entropy: weight of an entropy bonus, 0 or more; 0 for none, as published.
        temperature: divides the logits when above 0; 0 leaves them alone.
    """

    hidden: Channels = 100
    lr: Positive = 0.1
    baseline_decay: Share = 0.95
    entropy: NotNegative = 0.0
    temperature: NotNegative = 0.0


class _Policy(nn.Module):
    """π(m; θ): an LSTM over tokens with one softmax classifier per slot; the first input is empty (zeros)."""

    def __init__(self, vocabularies: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(hidden, hidden)
        self.embeddings = nn.ModuleList(nn.Embedding(size, hidden) for size in vocabularies[:-1])
        self.classifiers = nn.ModuleList(nn.Linear(hidden, size) for size in vocabularies)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)


class Controller:
    """A Sampler whose proposals come from the policy and whose `tell` is one policy-gradient step.

    The policy multiplies what an even draw would do. In a decision for one of n that changes nothing; where several are
    chosen, it keeps rising tokens from favouring few and late candidates before anything is learned.

    Args:
        space: to decide in.
        settings: how it decides and learns.

    Attributes:
        policy: π(m; θ).
        baseline: b, the moving average of rewards; None before the first.
    """

    def __init__(self, space: SearchSpace, settings: ControllerSettings) -> None:
        self.settings = settings
        self._space = space
        self.policy = _Policy([space.vocabulary(slot) for slot in space.slots], settings.hidden)
        self._optimiser = torch.optim.Adam(self.policy.parameters(), lr=settings.lr)
        self.baseline: float | None = None

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return `count` samples m ~ π(m; θ)."""
        with torch.no_grad():
            return [self._space.decode(self._roll(rng, greedy=False)[0]) for _ in range(count)]

    def most_probable(self) -> Architecture:
        """Return the architecture of the most probable token at each step."""
        with torch.no_grad():
            return self._space.decode(self._roll(None, greedy=True)[0])

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Take one step along (1/M) Σ_i (R_i − b) ∇_θ log π(m_i; θ) (MNet §3.1), b a moving average of rewards."""
        self.learn(scored)

    def learn(self, scored: Sequence[tuple[Architecture, float]]) -> Mapping[str, float]:
        """Do `tell`, and return the mean reward, the baseline used and the mean entropy per token in nats."""
        mean = float(np.mean([reward for _, reward in scored]))
        baseline = mean if self.baseline is None else self.baseline
        losses, entropies = [], []
        for architecture, reward in scored:
            _, log_probability, entropy = self._roll(None, greedy=False, given=self._space.encode(architecture))
            losses.append(-(reward - baseline) * log_probability - self.settings.entropy * entropy)
            entropies.append(entropy.detach())
        self._optimiser.zero_grad()
        torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        decay = self.settings.baseline_decay
        self.baseline = decay * baseline + (1 - decay) * mean
        entropy_now = float(torch.stack(entropies).mean()) / len(self._space.slots)
        return {"reward": mean, "baseline": baseline, "entropy": entropy_now}

    def _classify(self, position: int, hidden: Tensor, prefix: Sequence[int]) -> Tensor:
        logits: Tensor = self.policy.classifiers[position](hidden)[0]
        if self.settings.temperature:
            logits = logits / self.settings.temperature
        # Logits near 0, as an untrained policy has them, spell all legal choices of a decision equally often.
        return logits + torch.from_numpy(self._space.chances(prefix)).log().to(logits)

    def _roll(
        self, rng: np.random.Generator | None, *, greedy: bool, given: Tokens | None = None
    ) -> tuple[Tokens, Tensor, Tensor]:
        """Return tokens (sampled, greedy or given), their log probability and the summed entropy."""
        tokens: list[int] = []
        log_probability, entropy = torch.zeros(()), torch.zeros(())
        state = None
        inputs = torch.zeros(1, self.settings.hidden)
        for position in range(len(self._space.slots)):
            state = self.policy.cell(inputs, state)
            log_p = torch.log_softmax(self._classify(position, state[0], tokens), 0)
            p = log_p.exp()
            if given is not None:
                token = given[position]
            elif greedy or rng is None:
                token = int(p.argmax())
            else:
                chances = p.double().numpy()
                token = int(rng.choice(len(chances), p=chances / chances.sum()))
            tokens.append(token)
            log_probability = log_probability + log_p[token]
            entropy = entropy - (p * log_p.clamp(min=-1e9)).sum()
            if position + 1 < len(self._space.slots):
                inputs = self.policy.embeddings[position](torch.tensor([token]))
        return tuple(tokens), log_probability, entropy

    def state_dict(self) -> dict[str, Any]:
        """Return the policy, its optimiser and the baseline."""
        return {
            "policy": dict(self.policy.state_dict()),
            "optimiser": self._optimiser.state_dict(),
            "baseline": self.baseline,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.policy.load_state_dict(state["policy"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.baseline = state["baseline"]
