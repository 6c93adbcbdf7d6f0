"""What was measured of a model on this host, and the file in the user's cache folder that keeps it."""

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime

from mango_grader.cores import cpu_name
from mango_grader.files import digest, read_json, to_json, user_cache, write_text
from mango_grader.runtime.bundle.archive import Bundle

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True)
class Host:
    """What measured times depend on, beside the model.

    Attributes:
        cpu: name of the processor.
        machine: its architecture, such as "x86_64".
        onnxruntime: version.
    """

    cpu: str
    machine: str
    onnxruntime: str

    @classmethod
    def here(cls) -> Self:
        """Return this host."""
        return cls(cpu_name(), platform.machine(), onnxruntime.__version__)


@dataclass(frozen=True)
class StageLatency:
    """Measured times of every stage for one image at a time.

    Attributes:
        precision: of the stages, "fp32" or "int8".
        provider: device, "cpu" or "cuda".
        workers: number of threads that ran the model side by side.
        samples: K rows of n milliseconds; column i is one image's way through all stages.
    """

    precision: str
    provider: str
    workers: int
    samples: tuple[tuple[float, ...], ...]

    def quantiles(self) -> list[dict[str, float]]:
        """Return p50, p90, p99 and p99.9 of each stage in milliseconds."""
        return [_quantiles(stage) for stage in self.samples]

    def whole(self) -> dict[str, float]:
        """Return p50, p90, p99 and p99.9 of all stages together in milliseconds."""
        return _quantiles(np.sum(self.samples, axis=0))


@dataclass(frozen=True)
class Throughput:
    """Images per second through all stages, without decoding.

    Attributes:
        precision: of the stages, "fp32" or "int8".
        batch: images that were inferred together.
        workers: number of threads that ran the model side by side.
        images_per_s: of all threads together.
    """

    precision: str
    batch: int
    workers: int
    images_per_s: float


@dataclass(frozen=True)
class DecodeCost:
    """The time of one thread from an encoded image to the pixels that the network takes.

    Attributes:
        images: "drawn JPEGs", or the folder that they came from.
        megapixels: their mean size.
        ms: median milliseconds of one image.
    """

    images: str
    megapixels: float
    ms: float

    @property
    def ms_per_megapixel(self) -> float:
        """Milliseconds per million pixels."""
        return round(self.ms / self.megapixels, 3)


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process in megabytes.

    Attributes:
        model: by precision, what loading its stages added.
        peak: largest of the whole benchmark.
    """

    model: Mapping[str, float]
    peak: float


@dataclass(frozen=True, kw_only=True)
class HostProfile:
    """What `mango-grader bench` measured of a model on a host.

    Attributes:
        host: where.
        model: digest of the bundle.
        measured: date and time, ISO 8601.
        cores: that the process could use.
        latency: by precision and workers.
        throughput: by precision, batch and workers.
        decoding: by image size.
        memory: None where the system does not tell.

    Example:
        ```python
        from mango_grader.runtime import Bundle, HostProfile

        profile = HostProfile.read(Bundle.open("model.mango"))
        print("run mango-grader bench first" if profile is None else profile.throughput)
        ```
    """

    host: Host
    model: str
    measured: str
    cores: int
    latency: tuple[StageLatency, ...]
    throughput: tuple[Throughput, ...] = ()
    decoding: tuple[DecodeCost, ...] = ()
    memory: Memory | None = None

    def find(self, precision: str, workers: int = 1, provider: str = "cpu") -> StageLatency | None:
        """Return the times of the stages as they were measured under these conditions; None if they were not.

        Args:
            precision: "fp32" or "int8".
            workers: number of threads side by side.
            provider: "cpu" or "cuda".
        """
        wanted = precision, workers, provider
        return next((one for one in self.latency if (one.precision, one.workers, one.provider) == wanted), None)

    @classmethod
    def read(cls, bundle: Bundle) -> Self | None:
        """Return what was measured of a model on this host; None if it was not, or if the file cannot be used."""
        try:
            profile = cls.from_dict(read_json(profile_path(bundle)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        rows = len(bundle.manifest.exits)
        ours = profile.host == Host.here() and profile.model == bundle.digest
        return profile if ours and all(len(one.samples) == rows for one in profile.latency) else None

    def write(self, bundle: Bundle) -> Path:
        """Keep this in the user's cache folder, and return the file."""
        path = profile_path(bundle)
        write_text(path, to_json(self.to_dict()) + "\n")
        return path

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, all samples among them."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """Return plain JSON values for programs: quantiles instead of samples."""
        latency = [
            {
                "precision": one.precision, "provider": one.provider, "workers": one.workers,
                "images": len(one.samples[0]), "stages_ms": one.quantiles(), "all_stages_ms": one.whole(),
            }
            for one in self.latency
        ]  # fmt: skip
        decoding = [asdict(one) | {"ms_per_megapixel": one.ms_per_megapixel} for one in self.decoding]
        return self.to_dict() | {"latency": latency, "decoding": decoding}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; raise `ValueError`, `KeyError` or `TypeError` for anything else."""
        memory = values["memory"]
        return cls(
            host=Host(**values["host"]),
            model=str(values["model"]),
            measured=str(values["measured"]),
            cores=int(values["cores"]),
            latency=tuple(
                StageLatency(one["precision"], one["provider"], int(one["workers"]), _samples(one["samples"]))
                for one in values["latency"]
            ),
            throughput=tuple(Throughput(**one) for one in values["throughput"]),
            decoding=tuple(DecodeCost(**one) for one in values["decoding"]),
            memory=None if memory is None else Memory(dict(memory["model"]), float(memory["peak"])),
        )


def profile_path(bundle: Bundle) -> Path:
    """Return the file that keeps what is measured of a model on this host."""
    host = digest(json.dumps(asdict(Host.here())).encode())
    return user_cache() / f"bench-{host[:12]}-{bundle.digest[:12]}.json"


def _samples(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    samples = tuple(tuple(map(float, row)) for row in rows)
    sound = all(math.isfinite(one) and one >= 0 for row in samples for one in row)
    if not samples or not samples[0] or not sound or len({len(row) for row in samples}) != 1:
        raise ValueError("times are finite, 0 or more, and equally many for each stage")
    return samples


def _quantiles(times: Any) -> dict[str, float]:
    values = np.quantile(np.asarray(times, np.float64), list(QUANTILES.values()))
    return dict(zip(QUANTILES, np.round(values, 4).tolist(), strict=True))
