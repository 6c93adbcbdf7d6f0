"""Under which conditions a figure was measured: part of every benchmark's JSON."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from mango_grader.cores import cpu_name

PACKAGES = ("torch", "torchvision", "onnxruntime", "albumentations", "numpy", "pillow", "scikit-learn")


def conditions() -> dict[str, Any]:
    """Return hardware, versions and commit; a "+" behind the commit says that files were changed since."""
    return {
        "machine": {
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "system": platform.platform(terse=True),
            "python": platform.python_version(),
        },
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # the GPU path needs no albumentations
        return None


def _commit() -> str:
    here = Path(__file__).parent
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True, check=True
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=here, check=False).returncode
    return head.stdout.strip() + ("+" if changed else "")
