"""Retrieval with prototypes (Eq. 8 and 9) on features that are upsampled first."""

import torch

from reference.upsampled_naive import upsample


def prototypes(features, size, labels, classes):
    """Eq. 8: for each class the mean feature of its pixels, None where it has none."""
    tall = upsample(features, size)
    means = []
    for label in classes:
        chosen = tall[:, labels == label]
        means.append(chosen.mean(1) if chosen.shape[1] else None)
    return means


def retrieved(features, size, vectors, classes, regions):
    """Eq. 9: for every pixel the class whose prototype is most similar.

    Args:
        features: (C, h, w).
        size: (H, W).
        vectors: A prototype (C,) for each class.
        classes: Class ids, background (0) first.
        regions: For each class but the background the pixels (H, W) inside its boxes.
    """
    tall = upsample(features, size)
    anywhere = torch.stack(list(regions)).any(0)
    result = torch.zeros(size, dtype=torch.long)
    for y in range(size[0]):
        for x in range(size[1]):
            if not anywhere[y, x]:
                continue
            best = -1.0
            for number, label in enumerate(classes):
                if number and not regions[number - 1][y, x]:
                    continue
                vector = vectors[number]
                similar = float(torch.cosine_similarity(tall[:, y, x], vector, dim=0).relu())
                if similar > best:
                    best, result[y, x] = similar, label
    return result
