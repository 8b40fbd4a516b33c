"""The losses of WSSL, Box2Seg and BCM on boxes, image by image, class by class and pixel by pixel."""

import math

import torch
import torch.nn.functional as F

from reference import losses_naive


def estimated_labels(scores, regions, object_bias, background_bias):
    found = torch.zeros(scores.shape[0], *scores.shape[2:], dtype=torch.int64)
    for n, y, x in torch.ones_like(found).nonzero().tolist():
        best, best_score = 0, -math.inf
        for c in range(scores.shape[1]):
            score = float(scores[n, c, y, x]) + (object_bias if c else background_bias)
            if regions[n, c, y, x] and score > best_score:
                best, best_score = c, score
        found[n, y, x] = best
    return found


def em_fixed_loss(cosine, labels, regions, *, object_bias=8.0, background_bias=3.0, temperature=20.0, ignore_index=255):
    target = estimated_labels(temperature * cosine.detach(), regions, object_bias, background_bias)
    target[labels == ignore_index] = ignore_index
    return losses_naive.partial_cross_entropy(cosine, target, temperature=temperature, ignore_index=ignore_index)


def attention_weighted_loss(
    cosine, logits, labels, regions, filling_rates, *, rate_weight=5.0, temperature=20.0, lam=0.1, ignore_index=255
):
    log_h, attention = F.log_softmax(temperature * cosine, 1), torch.sigmoid(logits)
    on_objects, on_rates = [], []
    for n in range(len(cosine)):
        for c in range(1, cosine.shape[1]):
            box = regions[n, c]
            if box.any():
                on_objects.append(-(attention[n, c - 1][box] * log_h[n, c][box]).mean())
                on_rates.append(F.relu(filling_rates[c] - attention[n, c - 1][box].mean()))
    background = torch.full_like(labels, ignore_index)
    background[~regions[:, 1:].any(1) & (labels != ignore_index)] = 0
    on_background, on_labels = (
        losses_naive.partial_cross_entropy(cosine, each, temperature=temperature, ignore_index=ignore_index)
        for each in (background, labels)
    )
    pairs = max(len(on_objects), 1)
    return sum(on_objects) / pairs + on_background + rate_weight * sum(on_rates) / pairs + lam * on_labels


def box_masking_loss(
    cosine,
    logits,
    labels,
    box_labels,
    regions,
    filling_rates,
    *,
    mask_weight=1.0,
    temperature=20.0,
    ignore_index=255,
):
    errors = []
    for n, y, x in (box_labels != ignore_index).nonzero().tolist():
        masks = torch.sigmoid(logits[n, :, y, x])
        errors.append(sum((masks[c - 1] - float(regions[n, c, y, x])) ** 2 for c in range(1, cosine.shape[1])))
    on_labels = losses_naive.filling_rate_loss(
        cosine, labels, box_labels, filling_rates, temperature=temperature, ignore_index=ignore_index
    )
    return on_labels + mask_weight * sum(errors) / max(len(errors), 1)
