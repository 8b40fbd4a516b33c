"""The losses on noisy labels (Eq. 10 to 14 and the comparisons of Table 3), flattened and indexed, with autograd."""

import torch
import torch.nn.functional as F


def rows_and_labels(cosine, *labels):
    """Every pixel as a row: cosines (N*H*W, C) and each label map (N*H*W,)."""
    return cosine.permute(0, 2, 3, 1).reshape(-1, cosine.shape[1]), *(numbers.reshape(-1) for numbers in labels)


def split(cosine, y_crf, y_ret, temperature, ignore_index):
    """Eq. 10 on S, and the rows and Y_crf of ~S."""
    rows, crf, ret = rows_and_labels(cosine, y_crf, y_ret)
    known = (crf != ignore_index) & (ret != ignore_index)
    agreed, differing = known & (crf == ret), known & (crf != ret)
    on_agreed = mean(F.cross_entropy(temperature * rows[agreed], crf[agreed], reduction="none"))
    return on_agreed, rows[differing], crf[differing]


def mean(values):
    return values.mean() if len(values) else values.sum()


def confidence(rows, target, gamma):
    """Eq. 11 and 12 for rows (M, C)."""
    distances = 1 + rows
    return (distances[torch.arange(len(rows)), target] / distances.max(1).values) ** gamma


def partial_cross_entropy(cosine, labels, *, temperature=20.0, ignore_index=255):
    return split(cosine, labels, labels, temperature, ignore_index)[0]


def confidence_map(cosine, labels, *, gamma=7.0, ignore_index=255):
    found = torch.zeros_like(labels, dtype=cosine.dtype)
    for n, y, x in (labels != ignore_index).nonzero().tolist():
        distances = [1 + float(value) for value in cosine[n, :, y, x]]
        found[n, y, x] = (distances[int(labels[n, y, x])] / max(distances)) ** gamma
    return found


def noise_aware_loss(
    cosine,
    y_crf,
    y_ret,
    *,
    temperature=20.0,
    gamma=7.0,
    lam=0.1,
    ignore_index=255,
    detach_confidence=False,
    mean_over="region",
):
    on_agreed, rows, target = split(cosine, y_crf, y_ret, temperature, ignore_index)
    if len(rows) == 0:
        return on_agreed
    sigma = confidence(rows.detach() if detach_confidence else rows, target, gamma)
    log_h = F.log_softmax(temperature * rows, 1)
    surprise = -log_h[torch.arange(len(rows)), target]
    if mean_over == "pixel":
        known = (y_crf != ignore_index) & (y_ret != ignore_index)
        count = (known & (y_crf == y_ret)).sum()
        return (count * on_agreed + lam * (sigma * surprise).sum()) / (count + lam * sigma.sum())
    return on_agreed + lam * (sigma * surprise).sum() / sigma.sum()


def entropy_regularized_loss(cosine, y_crf, y_ret, *, temperature=20.0, lam=0.1, ignore_index=255):
    on_agreed, rows, _ = split(cosine, y_crf, y_ret, temperature, ignore_index)
    h = F.softmax(temperature * rows, 1)
    return on_agreed + lam * mean(-(h * F.log_softmax(temperature * rows, 1)).sum(1))


def bootstrapping_loss(cosine, y_crf, y_ret, *, hard, beta=None, temperature=20.0, lam=0.1, ignore_index=255):
    if beta is None:
        beta = 0.8 if hard else 0.95
    on_agreed, rows, target = split(cosine, y_crf, y_ret, temperature, ignore_index)
    h = F.softmax(temperature * rows, 1)
    classes = rows.shape[1]
    prediction = F.one_hot(h.argmax(1), classes) if hard else h
    mixed = beta * F.one_hot(target, classes) + (1 - beta) * prediction
    return on_agreed + lam * mean(-(mixed * F.log_softmax(temperature * rows, 1)).sum(1))


def filling_rate_labels(cosine, labels, box_labels, filling_rates, *, temperature=20.0, ignore_index=255):
    """The labels that are left, class by class in each image."""
    h = F.softmax(temperature * cosine.detach(), 1)
    kept = labels.clone()
    for n in range(len(cosine)):
        for c in range(1, cosine.shape[1]):
            pixels = (labels[n] == c).nonzero().tolist()
            allowed = int((filling_rates[c] * int((box_labels[n] == c).sum())).round())
            pixels.sort(key=lambda place: -float(h[n, c, place[0], place[1]]))
            for y, x in pixels[allowed:]:
                kept[n, y, x] = ignore_index
    return kept


def filling_rate_loss(cosine, labels, box_labels, filling_rates, *, temperature=20.0, ignore_index=255):
    kept = filling_rate_labels(
        cosine, labels, box_labels, filling_rates, temperature=temperature, ignore_index=ignore_index
    )
    return partial_cross_entropy(cosine, kept, temperature=temperature, ignore_index=ignore_index)
