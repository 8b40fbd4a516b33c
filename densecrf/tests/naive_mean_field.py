"""The fully connected CRF as it is defined: every pair of pixels, in float64."""

import numpy as np


def kernel_matrix(features):
    """D^-1/2 K D^-1/2 of the Gaussian kernel; features (N, d), already divided by their sigmas."""
    distances = ((features[:, None, :] - features[None, :, :]) ** 2).sum(-1)
    kernel = np.exp(-distances / 2)
    norm = 1 / np.sqrt(kernel.sum(axis=1))
    return norm[:, None] * kernel * norm[None, :]


def pixel_features(image, sxy, srgb=None):
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    features = [columns / sxy, rows / sxy]
    if srgb is not None:
        features += [image[:, :, channel] / srgb for channel in range(image.shape[2])]
    return np.stack([feature.reshape(-1) for feature in features], axis=1)


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


def dense_crf(
    image,
    unary,
    fixed=None,
    gaussian_weight=3,
    gaussian_sxy=3,
    bilateral_weight=4,
    bilateral_sxy=55,
    bilateral_srgb=3,
    iterations=10,
):
    """Marginals (C, H, W) of a unary (C, H, W)."""
    kernel = gaussian_weight * kernel_matrix(pixel_features(image, gaussian_sxy))
    kernel += bilateral_weight * kernel_matrix(pixel_features(image, bilateral_sxy, bilateral_srgb))
    return mean_field(unary, kernel, fixed, iterations)


def mean_field(unary, kernel, fixed, iterations):
    """Marginals (C, H, W) for a unary (C, H, W) and the weighted sum (H*W, H*W) of all kernels."""
    costs = np.asarray(unary, dtype=np.float64).reshape(len(unary), -1)
    held = np.zeros(costs.shape[1], dtype=bool) if fixed is None else fixed.reshape(-1)
    start = softmax(-costs)
    marginals = start
    for _ in range(iterations):
        marginals = np.where(held, start, softmax(marginals @ kernel.T - costs))
    return marginals.reshape(unary.shape)
