"""TNAS's sampler (Yan et al. 2021, §3.2–3.3): a variational auto-encoder of good architectures, by transformers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mango_grader.automl.architecture import Architecture
from mango_grader.automl.search_space import SearchSpace, Tokens
from mango_grader.ranges import Channels, Count, Layers, NotNegative, Positive, Ranged

VAE_TRIES = 50
"""How many draws in a row may bring nothing new before a VAE counts as settled on few architectures."""


@dataclass(frozen=True)
class VaeSettings(Ranged):
    """The paper states none of these; they are ours, so small that a fit takes less than a second on one CPU core.

    Attributes:
        latent: length of z, 1 or more.
        width: of each of the two transformers; a multiple of `heads`.
        heads: of their attention, 1 or more.
        layers: of each, 1 or more.
        kept: how many of the best seen so far are fitted, 1 or more.
        steps: of Adam in each fit, 1 or more.
        batch: architectures per step, 1 or more.
        lr: of Adam, above 0.
        kl_weight: of the KL term, 0 or more, 1 in Eq. 2; less of it makes more use of z (against posterior collapse),
            more of it makes less (against learning the architectures by heart).

    Raises:
        RangeError: a value is out of range.
        ValueError: width is no multiple of heads.
    """

    latent: Channels = 8
    width: Channels = 32
    heads: Count = 4
    layers: Layers = 2
    kept: Count = 30
    steps: Count = 50
    batch: Count = 32
    lr: Positive = 1e-2
    kl_weight: NotNegative = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads, not {self.width} of {self.heads}")


class _Vae(nn.Module):
    """q_φ(z|a) and p_θ(a|z) over sequences of `slots` tokens, each below `values`."""

    def __init__(self, slots: int, values: int, settings: VaeSettings) -> None:
        super().__init__()
        self.slots, self.values = slots, values
        self.embedding = nn.Embedding(slots * values, settings.width)  # a value means something else in each slot
        self.encoder = _transformer(settings)
        self.posterior = nn.Linear(settings.width, 2 * settings.latent)
        self.latent = nn.Linear(settings.latent, settings.width)
        self.places = nn.Parameter(torch.randn(slots, settings.width))
        self.decoder = _transformer(settings)
        self.classifier = nn.Linear(settings.width, values)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (N, slots) → mean and log variance of q_φ(z|a), (N, latent) each."""
        offsets = torch.arange(self.slots) * self.values
        read = self.encoder(self.embedding(tokens + offsets)).mean(1)
        mean, log_variance = self.posterior(read).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """(N, latent) → logits of the whole sequence at once, (N, slots, values)."""
        logits: Tensor = self.classifier(self.decoder(self.latent(z)[:, None] + self.places))
        return logits

    def loss(self, tokens: Tensor, even: Tensor, noise: Tensor, kl_weight: float) -> Tensor:
        """Return −E_q[log p_θ(a|z)] + kl_weight · KL(q_φ(z|a) ‖ N(0, I)), the mean over N, in nats (§3.2, Eq. 2).

        tokens: (N, slots). even: (N, slots, values), log probabilities of an even draw after the tokens before it, -inf
        for what is not legal. noise: (N, latent), standard normal.
        """
        mean, log_variance = self.encode(tokens)
        logits = self.decode(mean + (log_variance / 2).exp() * noise)
        log_p = (logits + even).log_softmax(-1)
        likelihood = log_p.gather(-1, tokens[..., None]).sum((1, 2))
        kl = (mean.square() + log_variance.exp() - log_variance - 1).sum(1) / 2
        return (kl_weight * kl - likelihood).mean()


def _transformer(settings: VaeSettings) -> nn.Module:
    block = nn.TransformerEncoderLayer(
        settings.width, settings.heads, 2 * settings.width, dropout=0.0, batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(block, settings.layers, nn.LayerNorm(settings.width), enable_nested_tensor=False)


class VaeSampler:
    """A Sampler that draws z ~ N(0, I), then a ~ p_θ(a|z), fitted on the best architectures that it was told.

    The model multiplies, slot after slot, what an even draw would do, in fitting as in drawing: illegal tokens are
    never drawn, and what it has not learned yet stays even. Until there is something to fit, draws are even. The model
    stays on the CPU, where so small a one is quickest.

    Args:
        space: to draw from.
        settings: of the model and its fits.

    Attributes:
        archive: the best seen so far, as tokens, with their scores.
    """

    def __init__(self, space: SearchSpace, settings: VaeSettings) -> None:
        self.settings = settings
        self.archive: dict[Tokens, float] = {}
        self._space = space
        self._values = max(space.vocabulary(slot) for slot in space.slots)
        self._model = _Vae(len(space.slots), self._values, settings)
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=settings.lr, fused=True)
        self._fits = 0

    @property
    def fitted(self) -> bool:
        """Whether draws come from the model; they are even before its first fit."""
        return self._fits > 0

    def ask(self, rng: np.random.Generator, count: int) -> list[Architecture]:
        """Return draws; all of z's dimensions and all tokens come from `rng`.

        Args:
            rng: for the draws.
            count: how many.
        """
        if not self.fitted:
            return [self._space.sample(rng) for _ in range(count)]
        z = torch.from_numpy(rng.standard_normal((count, self.settings.latent), dtype=np.float32))
        with torch.no_grad():
            logits: NDArray[np.float64] = self._model.decode(z).double().numpy()
        return [self._spell(sequence, rng) for sequence in logits]

    def tell(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Remember the scores and fit."""
        self.remember(scored)
        self.fit()

    def remember(self, scored: Sequence[tuple[Architecture, float]]) -> None:
        """Add to the archive, each architecture once with its latest score, and keep the best `kept`."""
        self.archive.update((self._space.encode(architecture), score) for architecture, score in scored)
        best = sorted(self.archive.items(), key=lambda entry: -entry[1])[: self.settings.kept]
        self.archive = dict(best)

    def fit(self) -> Mapping[str, float]:
        """Take `steps` steps of Adam from where the last fit ended, on batches of the archive; none if it is empty.

        Returns the mean loss in nats.
        """
        if not self.archive:
            return {}
        # The number of the fit seeds it, so that a resumed search repeats it without a generator in its checkpoint.
        generator = torch.Generator().manual_seed(self._fits)
        tokens = torch.tensor(list(self.archive))
        even = torch.from_numpy(np.stack([self._even(sequence) for sequence in self.archive]))
        losses = []
        for _ in range(self.settings.steps):
            rows = torch.randint(len(tokens), (self.settings.batch,), generator=generator)
            noise = torch.randn(self.settings.batch, self.settings.latent, generator=generator)
            loss = self._model.loss(tokens[rows], even[rows], noise, self.settings.kl_weight)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimiser.step()
            losses.append(loss.detach())
        self._fits += 1
        return {"vae_loss": float(torch.stack(losses).mean())}

    def _spell(self, logits: NDArray[np.float64], rng: np.random.Generator) -> Architecture:
        tokens: list[int] = []
        for row in logits:
            even = self._space.chances(tokens)
            chances = even * np.exp(row[: len(even)] - row[: len(even)].max())
            tokens.append(int(rng.choice(len(even), p=chances / chances.sum())))
        return self._space.decode(tuple(tokens))

    def _even(self, tokens: Tokens) -> NDArray[np.float32]:
        chances = np.zeros((len(tokens), self._values))
        for place in range(len(tokens)):
            even = self._space.chances(tokens[:place])
            chances[place, : len(even)] = even
        with np.errstate(divide="ignore"):
            return np.log(chances).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Return the model, its optimiser, the archive and the number of fits."""
        return {
            "model": dict(self._model.state_dict()),
            "optimiser": self._optimiser.state_dict(),
            "archive": list(self.archive.items()),
            "fits": self._fits,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self._model.load_state_dict(state["model"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.archive = {tuple(tokens): float(score) for tokens, score in state["archive"]}
        self._fits = int(state["fits"])
