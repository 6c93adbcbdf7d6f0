"""How much memory this process has needed so far, on systems that tell."""

import sys

import torch

from mango_grader.training.device import Device


def peak_memory_mb(device: Device) -> float | None:
    """Return the peak memory in MB, on the GPU where the process runs on one; None on Windows, which is not asked."""
    if device.is_gpu:
        return torch.cuda.max_memory_allocated() / 1e6
    try:
        import resource  # not there on Windows
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1e6 if sys.platform == "darwin" else 1e3)  # bytes on macOS, kB elsewhere
