"""Ultralytics' YOLO11n-cls from scratch, by its own trainer, all else than OPTIONS and epochs its defaults.

AGPL-3.0: only ever run, never imported.
"""

import os
import time
from pathlib import Path

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}  # read when it is imported

import numpy as np
import torch
from bridge import MODEL, Task, Trained, count_macs, count_params, export_onnx, run
from PIL import Image
from ultralytics import YOLO, settings
from ultralytics.nn.modules.head import Classify

settings.update({"sync": False})
OPTIONS = {"batch": 32, "pretrained": False, "workers": 0, "amp": False, "plots": False, "device": "cpu"}


def train(task: Task) -> Trained:
    """Train with the package's own recipe; it keeps the epoch that is best on validation data."""
    fold, start = task.fold, time.monotonic()
    write_images(task.out / "images" / "train", fold.train_images, fold.train_labels, fold.classes)
    write_images(task.out / "images" / "val", fold.val_images, fold.val_labels, fold.classes)
    model = YOLO("yolo11n-cls.yaml")
    model.train(
        data=str(task.out / "images"),
        imgsz=fold.size,
        epochs=task.epochs,
        seed=task.seed,
        project=str(task.out),
        name="ultralytics",
        exist_ok=True,
        **OPTIONS,
    )
    seconds = time.monotonic() - start
    net = YOLO(task.out / "ultralytics" / "weights" / "best.pt").model.float().eval()
    params = count_params(net)
    for module in net.modules():
        if isinstance(module, Classify):
            module.export = True  # probabilities alone
    image = torch.zeros(1, 3, fold.size, fold.size)
    export_onnx(net, image, task.out / MODEL)
    asked = {**OPTIONS, "epochs": task.epochs, "others": "defaults of the package"}
    return Trained(seconds, params, count_macs(net.eval(), image), "NCHW", (0.0,) * 3, (1.0,) * 3, asked)


def write_images(folder: Path, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Write one folder a class, named so that their order is that of the labels."""
    for label in range(classes):
        (folder / f"{label:04d}").mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / f"{label:04d}" / f"{number:05d}.png")


if __name__ == "__main__":
    run(train, ("ultralytics",))
