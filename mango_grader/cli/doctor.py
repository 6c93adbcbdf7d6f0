"""`mango-grader doctor`: what is installed and found here, and what is wrong with it."""

import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib import metadata

import click

from mango_grader import __version__
from mango_grader.cli.options import json_option, print_json
from mango_grader.cores import cpu_name
from mango_grader.errors import MangoError
from mango_grader.text import counted

RUNTIME = ("numpy", "pillow", "click", "rich")
ENGINES = ("onnxruntime", "onnxruntime-gpu")
TRAINING = (
    "torch", "torchvision", "albumentations", "opencv-python-headless", "onnx", "onnxscript", "safetensors",
    "scikit-learn", "matplotlib", "jinja2", "imagehash",
)  # fmt: skip
OPTIONAL = ("pyarrow", "pi-heif")
ALBUMENTATIONS = "2.0.8"

# A whole ONNX model, one Identity: does onnxruntime run at all?
_IDENTITY = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x02\x10\r"
)


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    Attributes:
        mango_grader: version of this package.
        python: version of Python.
        platform: operating system, its version and the machine's architecture.
        cpu: name of the processor.
        cores: number of logical processors, 1 or more.
        gpus: names of the NVIDIA GPUs.
        providers: onnxruntime's, by name.
        versions: of each library; None where it is not installed.
        broken: one line for each thing that keeps grading from working.
        advice: one line for each thing that does not, but should be known.
    """

    mango_grader: str
    python: str
    platform: str
    cpu: str
    cores: int
    gpus: tuple[str, ...]
    providers: tuple[str, ...]
    versions: dict[str, str | None]
    broken: tuple[str, ...]
    advice: tuple[str, ...]


@click.command()
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, as_json: bool) -> None:
    """Print versions, onnxruntime's providers, devices and problems. The exit code is 1 if grading cannot work."""
    found = diagnose()
    if as_json:
        print_json(asdict(found))
    else:
        _print(found)
    ctx.exit(1 if found.broken else 0)


def diagnose() -> Diagnosis:
    """Examine this installation; nothing heavy is imported but onnxruntime."""
    versions = {name: _version(name) for name in (*RUNTIME, *ENGINES, *TRAINING, *OPTIONAL)}
    gpus = _gpus()
    providers, broken = _engine()
    return Diagnosis(
        mango_grader=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=os.cpu_count() or 1,
        gpus=gpus,
        providers=providers,
        versions=versions,
        broken=(*(f"{name} is not installed" for name in RUNTIME if versions[name] is None), *broken),
        advice=_advice(versions, gpus, providers),
    )


def _engine() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the usable providers, and what keeps onnxruntime from running."""
    try:
        import onnxruntime

        from mango_grader.runtime.inference.sessions import make_session

        make_session(_IDENTITY, "cpu")
    except (ImportError, MangoError) as error:
        return (), (f"onnxruntime does not run ({error}); run: pip install --force-reinstall onnxruntime",)
    usable = ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        try:
            make_session(_IDENTITY, "cuda")
            usable.insert(0, "CUDAExecutionProvider")
        except MangoError:
            usable.append("CUDAExecutionProvider (does not start)")
    return tuple(usable), ()


def _advice(versions: dict[str, str | None], gpus: tuple[str, ...], providers: tuple[str, ...]) -> tuple[str, ...]:
    said = []
    if all(versions[name] for name in ENGINES):
        said.append("onnxruntime and onnxruntime-gpu conflict: uninstall both, then install one")
    if "CUDAExecutionProvider (does not start)" in providers:
        said.append("onnxruntime finds no compatible CUDA and cuDNN; run: pip install 'onnxruntime-gpu[cuda,cudnn]'")
    elif gpus and "CUDAExecutionProvider" not in providers:
        said.append("the GPU is not used for grading; install onnxruntime-gpu instead of onnxruntime")
    missing = [name for name in TRAINING if versions[name] is None]
    if len(missing) == len(TRAINING):
        said.append("searching and training are not installed; run: pip install 'mango-grader[train]'")
    elif missing:
        said.append(f"packages for training are missing ({', '.join(missing)}); run: pip install 'mango-grader[train]'")
    if versions["albumentations"] not in (None, ALBUMENTATIONS):
        said.append(f"albumentations {versions['albumentations']} is untested; run: pip install albumentations==2.0.8")
    return tuple(said)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _gpus() -> tuple[str, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def _print(found: Diagnosis) -> None:
    lines = {
        "mango-grader": found.mango_grader,
        "python": f"{found.python} on {found.platform}",
        "cpu": f"{found.cpu}, {counted(found.cores, 'core')}",
        "gpu": "; ".join(found.gpus) or "none",
        "onnxruntime runs on": ", ".join(found.providers) or "nothing",
        **{name: version or "not installed" for name, version in found.versions.items()},
    }
    width = max(map(len, lines))
    for key, value in lines.items():
        click.echo(f"{key:{width}}  {value}")
    click.echo()
    for line in found.broken:
        click.echo(f"BROKEN  {line}")
    for line in found.advice:
        click.echo(f"advice  {line}")
    if not found.broken:
        click.echo("grading works here")
