"""AutoKeras' image classifier on Keras' torch backend, given as much time as our own search and training."""

import os
import time
from functools import partial

os.environ |= {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}  # read when it is imported

import autokeras
import keras
import numpy as np
import torch
from autokeras.tuners.task_specific import ImageClassifierTuner
from bridge import MODEL, Task, Trained, count_macs, run

BATCH = 32
PATIENCE = 10  # epochs without a better validation loss: AutoKeras' own


class Deadline(keras.callbacks.Callback):
    """Ends a training after the batch in which the time is over."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end = end

    def on_train_batch_end(self, batch, logs=None) -> None:
        if time.monotonic() > self.end:
            self.model.stop_training = True


def tuner_until(end: float) -> type[ImageClassifierTuner]:
    """Return AutoKeras' own tuner, which begins no trial after `end`; one that fails is a trial too."""

    class TimedTuner(ImageClassifierTuner):
        def pre_create_trial(self) -> None:
            if time.monotonic() > end:
                self.oracle.max_trials = len(self.oracle.trials)

    return TimedTuner


def train(task: Task) -> Trained:
    """Search until the time is over, and keep the model of the best validation loss."""
    fold, start = task.fold, time.monotonic()
    keras.utils.set_random_seed(task.seed)
    end = start + task.seconds
    search = autokeras.ImageClassifier(
        directory=task.out / "autokeras",
        tuner=tuner_until(end),
        seed=task.seed,
        overwrite=True,
    )
    sides = [
        (images.astype(np.float32), np.eye(fold.classes, dtype=np.float32)[labels])
        for images, labels in ((fold.train_images, fold.train_labels), (fold.val_images, fold.val_labels))
    ]
    search.fit(
        *sides[0],
        validation_data=sides[1],
        epochs=task.epochs,
        batch_size=BATCH,
        callbacks=[Deadline(end), keras.callbacks.EarlyStopping(patience=PATIENCE, min_delta=1e-4)],
        verbose=2,
    )
    seconds = time.monotonic() - start
    model = search.export_model()
    macs = count_macs(partial(model, training=False), torch.zeros(1, fold.size, fold.size, 3))
    model.export(task.out / MODEL, format="onnx", verbose=False)
    settings = {
        "seconds": task.seconds,
        "batch_size": BATCH,
        "patience": PATIENCE,
        "trials": [
            {"score": trial.score, "status": str(trial.status), "chosen": trial.hyperparameters.values}
            for trial in search.tuner.oracle.trials.values()
        ],
    }
    params = sum(int(np.prod(weights.shape)) for weights in model.trainable_weights)
    return Trained(seconds, params, macs, "NHWC", (0.0,) * 3, (1 / 255,) * 3, settings)


if __name__ == "__main__":
    run(train, ("keras", "autokeras"))
