"""What a search finds starts from the super net's weights."""

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from contracts.cases import SPACES
from safetensors.torch import load_file
from tiny import TINY

from mango_grader.automl.search_space import SearchSpace
from mango_grader.automl.spaces import LayerwiseConfig
from mango_grader.automl.supernet import gates_of
from mango_grader.cli import main
from mango_grader.errors import UsageError
from mango_grader.models import AnytimeClassifier, FromBytes, build_network
from mango_grader.progress import SilentProgress
from mango_grader.runtime import Bundle
from mango_grader.training.batch_norm import recalibrated_statistics
from mango_grader.training.batches import Batches
from mango_grader.training.checkpoint import load_checkpoint
from mango_grader.training.device import Device
from mango_grader.training.loop import predict
from mango_grader.training.recipe import FineTuning, TrainRecipe
from mango_grader.workflow.config import RunConfig
from mango_grader.workflow.hand_over import InheritedWeights, inherit, keep_better
from mango_grader.workflow.options import SearchOptions
from mango_grader.workflow.presets import PRESETS
from mango_grader.workflow.run.context import RunContext
from mango_grader.workflow.run.data import augmenter, prepare
from mango_grader.workflow.run.folder import RunFolder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def search(data: Path, out: Path, *settings: str, method: str = "enas", more: tuple[object, ...] = ()) -> Result:
    given = [part for each in (*TINY, *settings) for part in ("--set", each)]
    chosen = ("--method", method, "--teacher", "none", *more)
    return run("search", "--data", data, "--size", 24, "--device", "cpu", "--out", out, *chosen, *given)


@pytest.fixture(scope="module")
def context(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    config = SearchOptions(data=str(fruit), size=(24, 24), device="cpu", settings=("train.batch_size=8",)).config()
    folder = RunFolder(tmp_path_factory.mktemp("inherit"))
    return RunContext(folder, config, prepare(config.data, folder, SilentProgress()), Device("cpu"), SilentProgress())


@pytest.mark.parametrize("kind", SPACES)
def test_a_found_network_answers_as_its_path_of_the_super_net(kind: str, context: RunContext) -> None:
    """By name, whole, and with BatchNorm's statistics of this very path."""
    torch.manual_seed(1)
    space = SearchSpace(SPACES[kind])
    supernet, found = space.supernet(), space.sample(np.random.default_rng(1))
    weights = inherit(space.derive(found), supernet.weights_for(found), 3, context)
    assert weights.whole
    network = build_network(space.derive(found))
    weights.start(network)
    shown = Batches(context.data.train, 8, context.config.seed + 1, augmenter(context.config))
    images, gates = FromBytes()(context.data.val.take(np.arange(5)).images), gates_of(found, space.decisions)

    def run_batches() -> None:
        for number in range(3):
            supernet(FromBytes()(shown[number].images), gates)

    with torch.no_grad(), recalibrated_statistics(supernet, run_batches):
        for own, path in zip(network.eval()(images), supernet(images, gates), strict=True):
            torch.testing.assert_close(own, path, atol=1e-4, rtol=1e-4)


def test_what_only_results_have_starts_afresh(context: RunContext) -> None:
    """Squeeze-excitation stands before a block's projection, which is inherited all the same."""
    config = SPACES["mbconv"]
    space = SearchSpace(config)
    found = space.sample(np.random.default_rng(0))
    spec = space.final.derive(found)
    supernet = space.supernet().state_dict()
    weights = inherit(spec, supernet, 1, context)
    new = {name for name in weights.state if ".squeeze." in name or ".excite." in name}
    assert new
    assert (weights.tensors, weights.whole, weights.mostly) == (weights.total - len(new), False, True)
    projections = [name for name in weights.state if name.endswith(".5.0.weight")]
    assert projections
    for name in projections:
        assert torch.equal(weights.state[name], supernet[name.replace(".5.0.", ".4.0.")])


def test_a_widened_result_takes_what_fits(context: RunContext) -> None:
    space = SearchSpace(SPACES["layerwise"])
    wide = SearchSpace(type(space.config)(**{**vars(space.config), "multiplier": 2.0}))
    spec = wide.derive(space.sample(np.random.default_rng(0)))
    weights = inherit(spec, space.supernet().state_dict(), 1, context)
    assert weights.tensors < weights.total
    assert not weights.whole
    assert {name: tuple(value.shape) for name, value in build_network(spec).state_dict().items()} == {
        name: tuple(value.shape) for name, value in weights.state.items()
    }


def test_weights_survive_the_disk(tmp_path: Path) -> None:
    state = {"a": torch.arange(3.0), "b": torch.tensor(2)}
    InheritedWeights(state, 1, 2).save(tmp_path / "weights.safetensors")
    read = InheritedWeights.load(tmp_path / "weights.safetensors")
    assert read is not None
    assert (read.tensors, read.total) == (1, 2)
    assert read.state.keys() == state.keys()
    assert all(torch.equal(read.state[name], value) for name, value in state.items())
    assert InheritedWeights.load(tmp_path / "none.safetensors") is None


def test_the_better_weights_are_kept(context: RunContext) -> None:
    torch.manual_seed(0)
    spec = SearchSpace(replace(SPACES["layerwise"], height=24, width=24)).sample(np.random.default_rng(0))
    poor, good = (build_network(SearchSpace(spec.space).derive(spec)) for _ in range(2))
    labels = context.data.val.targets
    optimiser, images = (
        torch.optim.Adam(good.parameters(), 0.01),
        FromBytes()(context.data.val.take(np.arange(len(labels))).images),
    )
    for _ in range(20):
        optimiser.zero_grad()
        sum(torch.nn.functional.cross_entropy(each, torch.from_numpy(labels)) for each in good(images)).backward()
        optimiser.step()
    before, after = ({name: value.clone() for name, value in net.state_dict().items()} for net in (good, poor))
    row = keep_better(poor, InheritedWeights(before, 1, 1), 2, context)
    assert row["kept"]
    assert all(value.equal(before[name]) for name, value in poor.state_dict().items())
    assert row["val_accuracy"] == [
        float(share) for share in (predict(good, context.data.val, Device("cpu")).argmax(-1) == labels).mean(1)
    ]
    row = keep_better(good, InheritedWeights(after, 1, 1), 2, context)
    assert not row["kept"]
    assert all(value.equal(before[name]) for name, value in good.state_dict().items())


ANSWERING = SearchSpace(LayerwiseConfig(24, 24, 3, depth=3, channels=4, reduce_at=(2,), kernels=(3,), exits=(1, 2, 3)))


def answering(classes: tuple[int, ...]) -> AnytimeClassifier:
    """Return a network whose exits answer one class each, whatever they see."""
    net = build_network(ANSWERING.derive(ANSWERING.sample(np.random.default_rng(0))))
    state = net.state_dict()
    for exit_name, label in zip(net.spec.exits, classes, strict=True):
        state[f"nodes.{exit_name}.linear.weight"].zero_()
        state[f"nodes.{exit_name}.linear.bias"].copy_(torch.eye(3)[label])
    return net


def validated_on(context: RunContext, counts: tuple[int, ...]) -> RunContext:
    """Return the run with so many validation images of each class."""
    val = context.data.val
    rows = np.concatenate([np.resize(val.rows[val.targets == label], count) for label, count in enumerate(counts)])
    return replace(context, data=replace(context.data, val=replace(val, rows=rows)))


@pytest.mark.parametrize("counts", [(18, 9, 1), (23, 6, 1)])
def test_of_equals_the_trained_weights_stay(counts: tuple[int, ...], context: RunContext) -> None:
    """Means of the same accuracies in another order differed by rounding, and a training of 12 epochs was lost."""
    few = validated_on(context, counts)
    for first, second in product(permutations(range(3)), repeat=2):
        inherited = InheritedWeights(answering(first).state_dict(), 1, 1)
        assert not keep_better(answering(second), inherited, 1, few)["kept"]


@pytest.mark.parametrize(("counts", "kept"), [((11, 10, 9), False), ((40, 2, 1), True)])
def test_trained_weights_stay_unless_they_lose_by_more_than_chance(
    counts: tuple[int, ...], kept: bool, context: RunContext
) -> None:
    """By three of a hundred validation images, weights were kept that did no better on other images."""
    inherited = InheritedWeights(answering((0, 0, 0)).state_dict(), 1, 1)
    assert keep_better(answering((1, 1, 1)), inherited, 1, validated_on(context, counts))["kept"] == kept


def test_a_short_fine_tuning_has_a_lower_rate() -> None:
    """After 24 steps at half of the full rate, networks were worse than with the weights that they had inherited."""
    fine_tuning, highest = FineTuning(rate=0.5, warmup=0.0, steps=100), TrainRecipe().weights.lr
    rates = [fine_tuning.of(TrainRecipe(), steps).weights.lr for steps in (0, 25, 100, 1000)]
    assert rates == pytest.approx([0.0, 0.125 * highest, 0.5 * highest, 0.5 * highest])
    assert fine_tuning.of(TrainRecipe(), 50).weights.warmup == 0.0
    assert fine_tuning.of(TrainRecipe(), 50).epochs == TrainRecipe().epochs


@pytest.fixture(scope="module")
def at_rest(fruit: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a run whose training changes no weight, and what it said."""
    out = tmp_path_factory.mktemp("runs") / "run"
    result = search(fruit, out, "train.epochs=1", "train.weights.lr=0")
    assert result.exit_code == 0, result.output
    return out, result.stderr


def tensors(run: Path) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the weights that a run keeps, and those of its super net."""
    return load_file(run / "weights.safetensors"), load_checkpoint(run / "checkpoints" / "search.safetensors")["net"]


def test_the_training_starts_from_the_super_net(at_rest: tuple[Path, str]) -> None:
    """The super net's weights were thrown away after half of the time."""
    out, said = at_rest
    kept, shared = tensors(out)
    learned = [name for name, value in kept.items() if value.ndim and "running" not in name]
    assert learned
    assert all(torch.equal(kept[name], shared[name]) for name in learned)
    weights = InheritedWeights.load(out / "inherited.safetensors")
    assert weights is not None
    assert weights.whole
    assert f"inherits {weights} from the super net" in said
    model = Bundle.open(out / "model.mango")
    assert model.manifest.provenance["inherited"] == str(weights)
    assert f"inherited {weights} from the super net" in model.card


def test_a_search_that_is_to_hand_over_no_weights_trains_from_scratch(fruit: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = search(fruit, out, "train.epochs=1", "train.weights.lr=0", "search.inherit=false")
    assert result.exit_code == 0, result.output
    kept, shared = tensors(out)
    convolutions = [name for name, value in kept.items() if value.ndim == 4]
    assert not any(torch.equal(kept[name], shared[name]) for name in convolutions)
    assert not (out / "inherited.safetensors").exists()
    assert "inherited" not in Bundle.open(out / "model.mango").manifest.provenance


def test_inherited_weights_come_before_those_of_init_from(
    at_rest: tuple[Path, str], fruit: Path, tmp_path: Path
) -> None:
    """--init-from starts the super net, and of the result only what the super net does not have."""
    out, more = tmp_path / "run", ("--init-from", at_rest[0], "--seed", 1)
    result = search(fruit, out, "train.epochs=1", "train.weights.lr=0", more=more)
    assert result.exit_code == 0, result.output
    kept, shared = tensors(out)
    assert all(torch.equal(value, shared[name]) for name, value in kept.items() if value.ndim == 4)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (("search.inherit=false", "search.fine_tune.rate=0.1"), "the result is trained from scratch"),
        (("search.shortlist.size=1", "search.shortlist.epochs=3"), "the method's own result is taken"),
        (("search.train_share=0.3",), "pass --budget"),
        (("search.shortlist.share=0.3",), "pass --budget"),
        (("search.fine_tune.steps=30",), "pass --budget"),
    ],
)
def test_settings_of_what_does_not_happen_are_refused(settings: tuple[str, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=f"would be ignored.*{reason}"):
        SearchOptions(data=".", settings=settings).config()


@pytest.mark.parametrize("preset", PRESETS)
def test_papers_train_their_results_from_scratch(preset: str) -> None:
    config = SearchOptions(data=".", preset=preset).config()
    assert config.search is not None
    assert config.search.inherit is not preset.startswith("paper")


def test_a_configuration_of_an_earlier_version_is_read() -> None:
    config = SearchOptions(data=".").config()
    data = config.to_dict()
    del data["search"]["inherit"], data["search"]["fine_tune"]
    assert RunConfig.from_dict(data) == config
