"""One mask for every input box: the semantic label, cut by the box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bana.data.label_maps import LabelMap
from bana.label.pseudo_labels import Instance
from bana.label.scene import Scene


def cut_instances(
    scene: Scene,
    y_crf: LabelMap,
    y_ret: LabelMap,
    confidence: npt.NDArray[np.float32],
    predicted_classes: Sequence[int | None],
) -> tuple[Instance, ...]:
    """An instance for every box, in input order.

    Args:
        scene: The image's boxes.
        y_crf: (H, W), from which masks are cut.
        y_ret: (H, W), for the agreement.
        confidence: float32 (H, W) in 0..1.
        predicted_classes: K classes that the classifier gives the boxes.
    """
    return tuple(
        _instance(scene, number, y_crf, y_ret, confidence, predicted)
        for number, predicted in enumerate(predicted_classes)
    )


def _instance(
    scene: Scene,
    number: int,
    y_crf: LabelMap,
    y_ret: LabelMap,
    confidence: npt.NDArray[np.float32],
    predicted_class: int | None,
) -> Instance:
    box, class_id = scene.boxes[number], int(scene.class_ids[number])
    if not scene.usable[number]:
        nothing = np.zeros(scene.size, dtype=bool)
        return Instance(box, class_id, nothing, "rejected", 0.0, 0.0, 0.0, None)
    region = scene.regions[number].numpy()
    mask = region & (y_crf == class_id)
    return Instance(
        box=box,
        class_id=class_id,
        mask=mask,
        status="ok" if mask.any() else "empty",
        confidence=float(confidence[region].mean()),
        agreement=float((y_crf == y_ret)[region].mean()),
        filling_rate=float(mask[region].mean()),
        predicted_class=predicted_class,
    )
