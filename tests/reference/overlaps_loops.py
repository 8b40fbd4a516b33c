"""Which box a pixel in several boxes of one class belongs to, pixel by pixel."""

import math

import torch

from reference import upsampled_naive


def groups(boxes, class_ids):
    """Sets of numbers of two and more boxes of a class that hang together."""
    found = [{number} for number in range(len(boxes))]

    def meet(first, second):
        a, b = boxes[first], boxes[second]
        overlap = max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])
        return overlap and class_ids[first] == class_ids[second]

    joined = True
    while joined:
        joined = False
        for first in found:
            for second in found:
                if first is not second and any(meet(a, b) for a in first for b in second):
                    first |= second
                    found.remove(second)
                    joined = True
                    break
            if joined:
                break
    return sorted(sorted(group) for group in found if len(group) > 1)


def shares(own, boxes, features, likeness, nearness, least_own):
    """What a CRF between the boxes starts from, (G, H, W): nothing where no box has the class."""
    count, height, width = own.shape
    divided = own & ~(own.sum(0) > 1)
    prototypes = []
    for number in range(count):
        enough = divided[number].sum() >= least_own * own[number].sum()
        mask = torch.from_numpy((divided if enough else own)[number])[None]
        prototypes.append(upsampled_naive.masked_mean(features, (height, width), mask)[0])
    tall = upsampled_naive.upsample(features, (height, width))
    result = torch.zeros(count, height, width)
    for y in range(height):
        for x in range(width):
            inside = [number for number in range(count) if own[number, y, x]]
            scores = []
            for number in inside:
                x0, y0, x1, y1 = boxes[number]
                across, down = (x + 0.5 - (x0 + x1) / 2) / ((x1 - x0) / 2), (y + 0.5 - (y0 + y1) / 2) / ((y1 - y0) / 2)
                cosine = float(torch.cosine_similarity(tall[:, y, x], prototypes[number], dim=0))
                scores.append(likeness * cosine - nearness * (across**2 + down**2))
            for number, score in zip(inside, scores, strict=True):
                result[number, y, x] = math.exp(score) / sum(math.exp(each) for each in scores)
    return result
