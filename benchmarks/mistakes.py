"""Deliberate mistakes in the mathematics and its wiring, each with the tests that must notice it.

``benchmarks/mutants.py`` makes them one at a time in a copy of the repository. ``tests/test_mistakes.py`` checks that
every place is still there: whoever changes such a line changes its mistake here too.
"""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One deliberate mistake.

    Attributes:
        name: What goes wrong, in a few words; unique.
        file: The file, from the repository's root.
        old: Text that the file has exactly once.
        new: What stands there instead.
        tests: Node ids of the tests that guard the place.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _in(file: str, guard: str, *changes: tuple[str, ...]) -> list[Mistake]:
    """Mistakes in one file.

    Args:
        file: The file, from the repository's root.
        guard: The file of tests that guards it.
        changes: Name, old text, new text, and the tests: functions of ``guard``, or node ids of other files.
    """
    return [
        Mistake(name, file, old, new, tuple(test if "::" in test else f"{guard}::{test}" for test in tests))
        for name, old, new, *tests in changes
    ]


_CLASSIFY = [
    *_in(
        "src/bana/classify/pooling.py",
        "tests/classify/test_pooling.py",
        (
            "query-of-foreground",
            "* background.flatten(2)\n",
            "* (1 - background.flatten(2))\n",
            "test_queries_are_those_of_the_loops",
        ),
        ("query-is-a-sum", "sums / weight.clamp(min=1.0)", "sums", "test_queries_are_those_of_the_loops"),
        (
            "query-without-background-counts",
            "weight.squeeze(2) > 0",
            "weight.squeeze(2) >= 0",
            "test_cells_without_background_do_not_count",
            "test_a_cell_of_padding_alone_is_no_query",
        ),
        (
            "odd-padding-at-the-beginning",
            "else (0, missing)",
            "else (missing, 0)",
            "test_padding_is_split_where_even_and_at_the_end_where_odd",
        ),
        (
            "attention-of-long-queries",
            "F.normalize(queries, dim=2) @ positions",
            "queries @ positions",
            "test_values_and_gradients_are_those_of_the_loops",
        ),
        (
            "attention-of-long-features",
            "@ positions / length.clamp(min=_TINY)",
            "@ positions",
            "test_values_and_gradients_are_those_of_the_loops",
        ),
        (
            "attention-without-relu",
            "counted = similarity.relu()",
            "counted = similarity",
            "test_values_and_gradients_are_those_of_the_loops",
        ),
        (
            "attention-is-the-greatest-similarity",
            "counted.sum(1, keepdim=True) / valid.sum(1).clamp(min=1).view(-1, 1, 1)",
            "counted.amax(1, keepdim=True)",
            "test_values_and_gradients_are_those_of_the_loops",
        ),
        (
            "attention-divided-by-all-cells",
            "valid.sum(1).clamp(min=1)",
            "valid.new_full((len(valid),), valid.shape[1], dtype=torch.int64)",
            "test_cells_without_background_do_not_count",
        ),
        (
            "attention-of-zero-features-is-nan",
            "length.clamp(min=_TINY)",
            "length",
            "test_attention_of_zero_features_is_zero_and_has_a_gradient",
        ),
        (
            "background-is-pooled",
            "weight = 1.0 - attention",
            "weight = attention",
            "test_values_and_gradients_are_those_of_the_loops",
        ),
        (
            "attention-detached-in-pooling",
            "weight = 1.0 - attention",
            "weight = 1.0 - attention.detach()",
            "test_gradients_are_those_of_finite_differences",
        ),
        (
            "pooled-sum-is-not-divided",
            "return pooled / share.clamp(min=_MIN_FOREGROUND)",
            "return pooled",
            "test_values_and_gradients_are_those_of_the_loops",
        ),
        (
            "boxes-half-a-pixel-off-on-the-map",
            "return (boxes - 0.5) *",
            "return boxes *",
            "test_feature_boxes_put_corner_cells_on_corner_pixels",
        ),
        (
            "cells-as-wide-as-the-image-allows",
            "(columns - 1) / max(width - 1, 1)",
            "columns / width",
            "test_feature_boxes_put_corner_cells_on_corner_pixels",
        ),
    ),
    *_in(
        "src/bana/classify/task.py",
        "tests/classify/test_classify_task.py",
        (
            "attention-detached-in-training",
            "attention = self._attention(features, background, queries, valid)",
            "attention = self._attention(features, background, queries, valid).detach()",
            "test_gradients_reach_the_features_through_the_attention",
        ),
        (
            "attention-without-gradients-to-features-and-queries",
            "background_attention(features, queries, valid) * enough",
            "background_attention(features.detach(), queries.detach(), valid) * enough",
            "test_gradients_reach_the_features_through_the_attention",
        ),
        (
            "attention-without-gradients-to-queries",
            "background_attention(features, queries, valid) * enough",
            "background_attention(features, queries.detach(), valid) * enough",
            "test_gradients_reach_the_features_through_the_attention",
        ),
        (
            "attention-where-little-is-background",
            "queries, valid) * enough",
            "queries, valid)",
            "test_images_with_less_than_an_eighth_of_background_pool_without_attention",
        ),
        (
            "gap-pools-with-attention",
            'if self.settings.pooling == "gap":',
            'if self.settings.pooling == "image":',
            "test_gap_pools_without_attention",
        ),
        (
            "grid-size-is-not-handed-on",
            "background, self.settings.grid_size)",
            "background, 4)",
            "test_the_loss_is_that_of_the_pure_functions",
        ),
        (
            "roi-bins-are-not-handed-on",
            "boxes, self.settings.roi_bins)",
            "boxes, 2)",
            "test_the_loss_is_that_of_the_pure_functions",
        ),
        (
            "queries-are-the-first-class",
            "batch.class_ids.new_zeros(int(valid.sum()))",
            "batch.class_ids.new_ones(int(valid.sum()))",
            "test_the_loss_is_that_of_the_pure_functions",
        ),
        (
            "classes-of-bins-in-another-order",
            "batch.class_ids.repeat_interleave(bins.shape[1])",
            "batch.class_ids.repeat(bins.shape[1])",
            "test_the_loss_is_that_of_the_pure_functions",
        ),
        (
            "queries-do-not-count-in-the-mean",
            "/ max(all_bins + all_queries, 1)",
            "/ max(all_bins, 1)",
            "test_the_loss_is_the_cross_entropy_of_all_bins_and_all_queries",
        ),
        (
            "images-are-scored-for-the-background",
            "features.mean((2, 3)))[:, 1:]",
            "features.mean((2, 3)))[:, :-1]",
            "test_image_level_training_sees_no_boxes",
        ),
        (
            "known-labels-are-a-sum",
            "known = known / known_labels",
            "known = known / 1.0",
            "test_known_labels_of_pixels_are_learned_too",
        ),
    ),
    *_in(
        "src/bana/classify/model.py",
        "tests/classify/test_classify_model.py",
        (
            "nothing-is-dropped-before-the-classifier",
            "self.classifier(self.dropout(vectors))",
            "self.classifier(vectors)",
            "tests/classify/test_dropout.py::test_dropout_acts_on_what_is_classified_and_not_on_features",
        ),
        (
            "classifier-begins-with-weights-of-1",
            "nn.init.normal_(self.classifier.weight, std=0.01)",
            "nn.init.normal_(self.classifier.weight, std=1.0)",
            "test_a_new_classifier_is_small_and_random_and_has_no_bias",
        ),
        (
            "classifier-has-a-bias",
            "bias=False",
            "bias=True",
            "test_a_new_classifier_is_small_and_random_and_has_no_bias",
        ),
    ),
    *_in(
        "src/bana/classify/samples.py",
        "tests/classify/test_classify_samples.py",
        (
            "padding-is-background",
            "image_fill=0, mask_fill=0",
            "image_fill=0, mask_fill=1",
            "test_background_is_what_lies_outside_all_boxes_and_inside_the_image",
        ),
        (
            "ignored-regions-are-background",
            "np.concatenate([record.boxes, record.ignored])",
            "record.boxes",
            "test_ignored_regions_are_no_background",
        ),
        (
            "boxes-are-background",
            "torch.from_numpy(~boxes_to_mask(boxes,",
            "torch.from_numpy(boxes_to_mask(boxes,",
            "test_background_is_what_lies_outside_all_boxes_and_inside_the_image",
        ),
        (
            "hardly-visible-boxes-are-classified",
            "(crop.visible >= MIN_VISIBLE)",
            "(crop.visible >= 0)",
            "test_a_box_that_a_crop_hardly_shows_is_neither_classified_nor_background",
        ),
        (
            "crowds-are-classified",
            "kept = is_object & ",
            "kept = ",
            "test_crowd_regions_are_neither_classified_nor_background",
        ),
        (
            "known-labels-are-one-too-high",
            "crop.masks[1].long() - 1,",
            "crop.masks[1].long(),",
            "test_agreed_labels_lie_on_their_pixels_and_nothing_else_is_known",
        ),
        (
            "the-last-class-is-not-known",
            "agreed <= len(self._labels.classes)",
            "agreed < len(self._labels.classes)",
            "test_agreed_labels_lie_on_their_pixels_and_nothing_else_is_known",
        ),
        (
            "boxes-are-of-the-first-image",
            "(1, 0), value=float(number))",
            "(1, 0), value=0.0)",
            "test_a_batch_numbers_its_images",
        ),
        # Crops of a multiple of the stride plus 1 have cells on whole pixels, where rounding has nothing to do:
        # there this mistake is none. Maps of other sizes, as some backbones of timm give, show it.
        (
            "cells-take-the-pixel-before-their-center",
            ".round().long()",
            ".long()",
            "test_a_cell_has_the_value_of_the_nearest_pixel",
        ),
    ),
]

_NETWORKS = [
    *_in(
        "src/bana/nn/vgg.py",
        "tests/nn/test_vgg.py",
        ("no-dropout", "nn.Dropout(0.5)", "nn.Dropout(0.0)", "test_half_of_fc6_is_dropped_in_training"),
        (
            "fc6-is-not-dropped",
            "x = self.dropout(self.fc6(self.smooth(x)).relu())",
            "x = self.fc6(self.smooth(x)).relu()",
            "test_half_of_fc6_is_dropped_in_training",
        ),
        (
            "fc6-without-dilation",
            "padding=12, dilation=12",
            "padding=1, dilation=1",
            "test_features_are_the_layers_in_order",
        ),
        (
            "conv5-without-dilation",
            "dilation = 2 if block == 5 else 1",
            "dilation = 1",
            "test_features_are_the_layers_in_order",
        ),
        ("stride-16", "4: 1, 5: 1}", "4: 2, 5: 1}", "test_features_are_the_layers_in_order"),
        (
            "fc6-takes-a-corner-of-its-kernel",
            "fc6[::4, :, ::3, ::3]",
            "fc6[::4, :, :3, :3]",
            "test_fc6_and_fc7_are_subsampled_as_deeplab_did",
        ),
        (
            "caffe-stays-in-bgr",
            'weights["conv1_1.weight"].flip(1)',
            'weights["conv1_1.weight"]',
            "test_caffe_weights_answer_as_in_caffe",
        ),
        (
            "caffe-keeps-its-mean",
            "(first * shift.view(1, 3, 1, 1)).sum((1, 2, 3))",
            "0.0 * first.sum((1, 2, 3))",
            "test_caffe_weights_answer_as_in_caffe",
        ),
    ),
    *_in(
        "src/bana/nn/heads.py",
        "tests/nn/test_heads.py",
        (
            "fused-maps-with-corners-cut",
            'F.interpolate(projected, size, mode="bilinear", align_corners=True)',
            'F.interpolate(projected, size, mode="bilinear", align_corners=False)',
            "test_fused_maps_are_normalized_projected_aligned_and_summed",
        ),
        (
            "fused-maps-are-not-normalized",
            "projected = project(normalize(maps))",
            "projected = project(maps)",
            "test_fused_maps_are_normalized_projected_aligned_and_summed",
        ),
        (
            "fused-maps-without-relu",
            "self.mix(fused.relu())",
            "self.mix(fused)",
            "test_fused_maps_are_normalized_projected_aligned_and_summed",
        ),
        (
            "fused-maps-grow-with-their-number",
            "layer.weight /= len(channels) ** 0.5",
            "layer.weight /= 1.0",
            "test_a_new_head_keeps_the_size_of_what_it_fuses",
        ),
        (
            "aspp-without-its-last-branch",
            "for branch in self.branches[1:]:",
            "for branch in self.branches[1:-1]:",
            "tests/segment/test_segment_networks.py::test_aspp_sums_its_dilated_branches",
        ),
    ),
    *_in(
        "src/bana/nn/network.py",
        "tests/nn/test_network.py",
        (
            "batch-statistics-are-learned",
            "module.eval()",
            "module.train(mode)",
            "test_batch_statistics_stay_frozen_in_training",
        ),
        (
            "calibration-without-variance",
            'norm.get_buffer("running_var").copy_(maps.var((0, 2, 3)))',
            'norm.get_buffer("running_var").copy_(maps.std((0, 2, 3)))',
            "test_calibration_gives_each_channel_mean_0_and_variance_1",
        ),
        (
            "network-input-without-the-extra-pixel",
            "* multiple + 1 for length",
            "* multiple for length",
            "tests/nn/test_weights.py::test_network_input_has_sides_of_a_multiple_plus_1",
        ),
        (
            "network-input-with-corners-cut",
            'mode="bicubic", align_corners=True',
            'mode="bicubic", align_corners=False',
            "tests/nn/test_weights.py::test_network_input_keeps_corners_and_an_image_that_fits",
        ),
    ),
    *_in(
        "src/bana/nn/backbones.py",
        "tests/nn/test_network.py",
        (
            "vgg-drops-nothing",
            '"BSD-3", dropout=0.5)',
            '"BSD-3")',
            "tests/classify/test_dropout.py::test_vgg_s_classifiers_drop_half_of_fc7",
        ),
        (
            "images-are-not-centered",
            "self.network((images - self.mean) / self.std)",
            "self.network(images / self.std)",
            "test_images_are_normalized_by_the_backbone_itself",
        ),
    ),
    *_in(
        "src/bana/nn/crops.py",
        "tests/nn/test_crops.py",
        (
            "visible-share-of-the-scaled-box-is-forgotten",
            "box_area(cut_boxes) / box_area(scaled[2].as_subclass(Tensor)).clamp(min=1e-9)",
            "box_area(cut_boxes) / box_area(cut_boxes).clamp(min=1e-9)",
            "test_visible_is_the_share_of_a_box_that_the_crop_shows",
        ),
        (
            "image-side-is-ignored",
            "self._settings.scale_of(record.height, record.width)",
            "self._settings.scale_range",
            "tests/classify/test_classify_samples.py::test_images_are_taken_to_have_a_side",
        ),
        (
            "every-epoch-has-the-same-crops",
            '"sample", epoch, index)',
            '"sample", index)',
            "tests/classify/test_classify_samples.py::test_a_sample_depends_on_epoch_and_index_alone",
        ),
    ),
    *_in(
        "src/bana/data/transforms.py",
        "tests/data/test_transforms.py",
        (
            "crops-are-never-mirrored",
            "v2.RandomHorizontalFlip(),",
            "v2.RandomHorizontalFlip(0.0),",
            "test_half_of_the_crops_are_mirrored_from_left_to_right",
        ),
        (
            "crops-stand-on-their-head",
            "v2.RandomHorizontalFlip(),",
            "v2.RandomVerticalFlip(),",
            "test_half_of_the_crops_are_mirrored_from_left_to_right",
        ),
        (
            "masks-are-padded-like-images",
            "fill={tv_tensors.Mask: mask_fill,",
            "fill={tv_tensors.Mask: image_fill,",
            "test_images_and_masks_are_padded_each_with_its_own_value",
        ),
        (
            "no-color-jitter",
            "v2.ColorJitter(color_jitter, color_jitter, color_jitter)",
            "v2.ColorJitter(0.0, 0.0, 0.0)",
            "test_brightness_contrast_and_saturation_vary_with_the_jitter_and_masks_stay",
        ),
        (
            "saturation-does-not-vary",
            "v2.ColorJitter(color_jitter, color_jitter, color_jitter)",
            "v2.ColorJitter(color_jitter, color_jitter)",
            "test_brightness_contrast_and_saturation_vary_with_the_jitter_and_masks_stay",
        ),
        (
            "nothing-is-scaled",
            "uniform_(*scale_range)",
            "uniform_(1.0, 1.0)",
            "test_all_that_lies_on_an_image_is_scaled_by_one_factor_of_the_range",
        ),
    ),
    *_in(
        "src/bana/nn/settings.py",
        "tests/nn/test_training.py",
        (
            "poly-falls-linearly",
            "float((1 - progress) ** 0.9)",
            "float((1 - progress) ** 1.0)",
            "test_learning_rates_fall_as_the_schedule_says",
        ),
        ("step-halfway", "else (2 / 3,)", "else (1 / 2,)", "test_learning_rates_fall_as_the_schedule_says"),
        (
            "multistep-falls-too-early",
            "(2 / 3, 11 / 12)",
            "(2 / 3, 10 / 12)",
            "test_learning_rates_fall_as_the_schedule_says",
        ),
        (
            "steps-halve-the-rate",
            "rising * 0.1 ** sum(",
            "rising * 0.5 ** sum(",
            "test_learning_rates_fall_as_the_schedule_says",
        ),
        ("no-warmup", "if self.warmup else 1.0", "if False else 1.0", "test_learning_rates_first_rise_during_warmup"),
        (
            "few-images-make-few-steps",
            "max(self.epochs, least)",
            "self.epochs",
            "test_few_images_get_the_epochs_that_make_enough_steps",
        ),
        (
            "small-objects-stay-small-in-training",
            "return self.scale_range[0] * self.magnified, self.scale_range[1] * self.magnified",
            "return self.scale_range",
            "test_small_objects_are_magnified",
        ),
    ),
    *_in(
        "src/bana/nn/sampling.py",
        "tests/nn/test_sampling.py",
        (
            "rare-classes-come-no-more-often",
            "factors / factors.mean()",
            "np.ones(len(factors))",
            "test_an_epoch_has_its_length_and_rare_classes_come_more_often",
        ),
        (
            "repetitions-are-the-same-sample",
            'seed_of(epoch, "repetition", repetition) if repetition else epoch',
            "epoch",
            "test_repetitions_in_an_epoch_are_different_samples",
        ),
    ),
    *_in(
        "src/bana/nn/task.py",
        "tests/classify/test_classify_task.py",
        (
            "biases-learn-no-faster",
            "rate * (2 if is_bias else 1)",
            "rate",
            "test_biases_learn_twice_as_fast_and_do_not_decay",
        ),
        (
            "biases-decay",
            "0.0 if is_bias else settings.weight_decay",
            "settings.weight_decay",
            "test_biases_learn_twice_as_fast_and_do_not_decay",
        ),
        (
            "rates-of-backbone-and-head-swapped",
            "(True, settings.lr_backbone), (False, settings.lr_head)",
            "(False, settings.lr_backbone), (True, settings.lr_head)",
            "test_biases_learn_twice_as_fast_and_do_not_decay",
        ),
        (
            "no-momentum",
            "momentum=0.9",
            "momentum=0.0",
            "tests/segment/test_segment_networks.py::test_the_papers_recipes",
        ),
    ),
]

_LABEL = [
    *_in(
        "src/bana/label/unaries.py",
        "tests/label/test_unaries.py",
        (
            "attention-of-labels-without-relu",
            "cosine(features.mean(cells)).relu().mean(0)",
            "cosine(features.mean(cells)).mean(0)",
            "tests/label/test_labeler_formulas.py::"
            "test_a_class_without_weights_is_1_minus_an_attention_that_is_never_negative",
        ),
        (
            "attention-from-all-pixels",
            "return background_mask[None]",
            "return torch.ones_like(background_mask)[None]",
            "tests/label/test_labeler_formulas.py::test_unaries_are_those_of_the_slow_formulas",
        ),
        (
            "attention-of-the-first-cell",
            "cosine(features.mean(cells)).relu().mean(0)",
            "cosine(features.mean(cells)).relu()[0]",
            "tests/label/test_labeler.py::test_several_queries_share_the_attention",
        ),
        (
            "threshold-of-the-attention-itself",
            "attention >= threshold * attention.max()",
            "attention >= threshold",
            "test_background_unary_is_equation_7",
        ),
        (
            "attention-outside-the-boxes",
            "return torch.where(background_mask, 1.0, confident)",
            "return confident",
            "test_background_unary_is_equation_7",
        ),
        (
            "unsure-attention-stays",
            "attention.max(), attention, 0.0)",
            "attention.max(), attention, attention)",
            "test_background_unary_is_equation_7",
        ),
        (
            "cam-divided-by-the-images-maximum",
            "greatest = inside.max() if per_box else strongest",
            "greatest = strongest",
            "test_object_unary_is_equation_5",
        ),
        (
            "the-last-box-counts-where-boxes-overlap",
            "torch.maximum(unary[place], inside / greatest.clamp(min=1e-12))",
            "inside / greatest.clamp(min=1e-12)",
            "test_object_unary_is_equation_5",
        ),
        (
            "background-may-become-an-object",
            "torch.where(background_mask, background, unaries.softmax(0))",
            "unaries.softmax(0)",
            "test_probabilities_are_a_softmax_inside_and_background_outside",
        ),
        (
            "unaries-are-probabilities-already",
            "unaries.softmax(0))",
            "unaries / unaries.sum(0))",
            "test_probabilities_are_a_softmax_inside_and_background_outside",
        ),
        (
            "satisfied-boxes-are-raised",
            "reached_share(mask) < least",
            "reached_share(mask) <= least",
            "tests/label/test_raised_unaries.py::test_nothing_is_raised_where_the_share_is_reached",
        ),
        (
            "empty-columns-are-not-raised",
            ".astype(np.float32) + ~mask.any(0))",
            ".astype(np.float32) + 0 * mask.any(0))",
            "tests/label/test_raised_unaries.py::test_empty_rows_and_columns_are_raised_and_crossings_twice",
        ),
    ),
    *_in(
        "src/bana/label/labeler.py",
        "tests/label/test_labeler_formulas.py",
        # Labels would be the same without these two: ``object_unary`` takes the maximum with 0. It asks for activations
        # that are not negative all the same, and the tests hold what it is given to that.
        (
            "cam-without-relu",
            "view.weights[trained][None])[0].relu()",
            "view.weights[trained][None])[0]",
            "test_activations_of_object_unaries_are_never_negative",
        ),
        (
            "background-cam-without-relu",
            "view.weights[:1])[0].relu()",
            "view.weights[:1])[0]",
            "test_activations_of_object_unaries_are_never_negative",
        ),
        (
            "threshold-is-not-handed-on",
            "boxed.background_mask, settings.attention_threshold)",
            "boxed.background_mask, 0.99)",
            "test_unaries_are_those_of_the_slow_formulas",
        ),
        (
            "norm-of-cams-is-not-handed-on",
            'settings.cam_norm == "box")',
            "True)",
            "test_unaries_are_those_of_the_slow_formulas",
        ),
        (
            "unknown-classes-look-like-the-background",
            "return 1.0 - view.attention",
            "return view.attention",
            "test_a_class_without_weights_is_1_minus_an_attention_that_is_never_negative",
        ),
        (
            "y-ret-outside-its-boxes",
            "greatest(self._correlation(view, crf) * view.allowed)",
            "greatest(self._correlation(view, crf))",
            "test_y_ret_has_no_class_outside_its_own_boxes",
        ),
        (
            "confidence-of-the-most-probable-label",
            "marginals.gather(0, crf[None])[0])",
            "marginals.max(0).values)",
            "test_confidence_is_the_marginal_of_the_label_and_1_on_definite_background",
        ),
        (
            "confidence-of-definite-background-by-the-crf",
            "torch.where(reduced.background_mask, 1.0, marginals.gather(0, crf[None])[0]).numpy()",
            "marginals.gather(0, crf[None])[0].numpy()",
            "test_confidence_is_the_marginal_of_the_label_and_1_on_definite_background",
        ),
        (
            "definite-background-is-not-fixed",
            "self._crf.prepare(image, fixed=view.fixed.numpy())",
            "self._crf.prepare(image, fixed=np.zeros(view.fixed.shape, bool))",
            "test_the_crf_keeps_definite_background_as_it_is",
        ),
        (
            "raised-unaries-replace-each-other",
            "unaries = unaries + raised",
            "unaries = raised",
            "test_what_is_raised_in_empty_rows_and_columns_adds_up",
        ),
        (
            "vanished-classes-have-the-backgrounds-weights",
            "return view.weights[trained]\n",
            "return view.weights[0]\n",
            "test_a_class_that_vanished_is_retrieved_by_its_own_weights",
        ),
        (
            "vanished-classes-are-a-plain-mean",
            "weight = (1.0 - view.attention) * view.boxed.class_region(label)",
            "weight = view.boxed.class_region(label).float()",
            "test_a_class_without_weights_that_vanished_is_retrieved_by_its_boxes_weighted_by_1_minus_a",
        ),
        (
            "refinement-scale-is-not-handed-on",
            "* self.settings.refinement_scale",
            "* 4.0",
            "test_a_refinement_has_the_scaled_similarity_to_prototypes_as_unaries",
        ),
        (
            "refinements-leave-the-boxes",
            "unaries.masked_fill(~view.allowed, -torch.inf)",
            "unaries.masked_fill(~view.allowed, 0.0)",
            "test_a_refinement_has_the_scaled_similarity_to_prototypes_as_unaries",
        ),
        (
            "correlation-without-relu",
            "return view.cosine(prototypes).relu()",
            "return view.cosine(prototypes)",
            "test_a_refinement_has_the_scaled_similarity_to_prototypes_as_unaries",
        ),
    ),
    *_in(
        "src/bana/label/upsampled.py",
        "tests/label/test_upsampled.py",
        (
            "diagonals-count-twice",
            "below, diagonals / 2)",
            "below, diagonals)",
            "test_all_answers_are_those_of_the_upsampled_tensor",
        ),
        (
            "neighbors-count-once",
            "+ 2.0 * neighbor @",
            "+ 1.0 * neighbor @",
            "test_all_answers_are_those_of_the_upsampled_tensor",
        ),
        (
            "one-diagonal-is-forgotten",
            "_products(f[:, :-1, :-1], f[:, 1:, 1:]) + _products(f[:, :-1, 1:], f[:, 1:, :-1])",
            "2 * _products(f[:, :-1, :-1], f[:, 1:, 1:])",
            "test_all_answers_are_those_of_the_upsampled_tensor",
        ),
        (
            "prototypes-are-sums",
            "return self.sum(masks) / weight.unsqueeze(1)",
            "return self.sum(masks)",
            "test_all_answers_are_those_of_the_upsampled_tensor",
        ),
        (
            "cosines-of-long-vectors",
            "self.dot(F.normalize(vectors))",
            "self.dot(vectors)",
            "test_all_answers_are_those_of_the_upsampled_tensor",
        ),
        (
            "interpolation-without-aligned-corners",
            "torch.linspace(0, source - 1, target, dtype=torch.float64)",
            "((torch.arange(target).double() + 0.5) * source / target - 0.5).clamp(0, source - 1)",
            "test_the_interpolation_of_one_axis",
        ),
        (
            "finest-map-is-not-centered",
            "finest - finest.mean((2, 3), keepdim=True)",
            "finest",
            "tests/label/test_concat_low_level.py::test_a_uniform_map_adds_nothing",
        ),
    ),
    *_in(
        "src/bana/label/class_transfer.py",
        "tests/label/test_labeler_formulas.py",
        (
            "classes-of-boxes-without-attention",
            "background_aware_pool(features, attention, boxes, roi_bins)",
            "background_aware_pool(features, 0 * attention, boxes, roi_bins)",
            "test_predicted_classes_are_those_of_the_pooling_loops",
        ),
        (
            "classes-of-boxes-of-another-size",
            "boxed.size, size)",
            "size, size)",
            "test_predicted_classes_are_those_of_the_pooling_loops",
        ),
    ),
    *_in(
        "src/bana/label/methods/cam.py",
        "tests/label/methods/test_label_methods.py",
        (
            "image-level-cams-without-relu",
            "maps = activations.relu()",
            "maps = activations",
            "test_scores_from_image_level_activations",
        ),
        (
            "image-level-background-without-power",
            "(1 - greatest) ** power",
            "(1 - greatest)",
            "test_scores_from_image_level_activations",
        ),
    ),
    *_in(
        "src/bana/label/reduced.py",
        "tests/label/test_reduced.py",
        (
            "blocks-are-read-at-their-corners",
            "(torch.arange(part.start, part.stop) + 0.5) *",
            "torch.arange(part.start, part.stop) *",
            "test_a_map_of_blocks_is_read_between_their_centers",
        ),
    ),
    *_in(
        "src/bana/label/instances.py",
        "tests/label/test_instances.py",
        (
            "far-pixels-belong-to-a-box",
            "features.cosine(prototypes) - NEARNESS",
            "features.cosine(prototypes) + NEARNESS",
            "test_what_the_crf_starts_from_is_that_of_the_loops",
        ),
        (
            "every-pixel-is-contested",
            "own.sum(0) > 1",
            "own.sum(0) > 0",
            "test_what_the_crf_starts_from_is_that_of_the_loops",
        ),
        (
            "contested-pixels-stay-fixed",
            "fixed=~contested[place]",
            "fixed=contested[place]",
            "test_what_the_crf_starts_from_is_that_of_the_loops",
        ),
        (
            "masks-take-what-others-own",
            "divided &= ~own[number]",
            "pass",
            "test_a_box_inside_another_keeps_what_it_has",
        ),
        (
            "masks-of-any-class",
            "(labels[place] == class_id) &",
            "(labels[place] > 0) &",
            "test_a_box_is_cut_out_of_the_labels_of_its_own_class",
        ),
        (
            "objects-on-crowds-are-ignored",
            "labels[boxed.ignored & (labels == 0)]",
            "labels[boxed.ignored]",
            "tests/label/test_labeler.py::test_an_object_on_a_crowd_region_is_still_labeled",
        ),
    ),
    *_in(
        "src/bana/label/view.py",
        "tests/label/test_labeler_formulas.py",
        (
            "y-crf-outside-its-boxes",
            "return greatest(marginals * self.allowed)",
            "return greatest(marginals)",
            "test_y_crf_has_no_class_outside_its_own_boxes",
        ),
        (
            "points-are-not-known-to-the-crf",
            "probabilities[:, at_points] = known.T.to(probabilities)",
            "pass",
            "tests/label/test_points.py::test_points_change_the_label_where_they_are",
        ),
    ),
    *_in(
        "src/bana/label/points.py",
        "tests/label/test_points.py",
        (
            "points-lower-what-is-sure",
            "np.maximum(KNOWN - odds, 0)",
            "KNOWN - odds",
            "test_what_is_known_already_changes_nothing",
        ),
        (
            "points-of-other-objects-count-as-ones-own",
            "point._replace(is_object=False) for point in others",
            "point for point in others",
            "test_a_point_on_one_object_is_on_no_other",
        ),
        (
            "points-do-not-look-at-colors",
            "(colors - np.array(color, np.float32)) ** 2).sum(2)",
            "0 * colors).sum(2)",
            "test_a_point_changes_little_of_another_color",
        ),
        (
            "points-beside-one-object-are-background-in-another",
            "if point.is_object or holders == 1:",
            "if True:",
            "test_points_are_known_to_the_crf_within_their_discs",
        ),
    ),
    *_in(
        "src/bana/label/warm_start.py",
        "tests/label/test_warm_start.py",
        (
            "last-mask-lowers-its-own-pixels",
            "np.exp(BONUS *",
            "np.exp(-BONUS *",
            "test_the_log_odds_change_by_the_bonus",
        ),
        (
            "last-mask-counts-wherever-the-box-is",
            "box_iou(mask.box, box) >= MIN_IOU",
            "box_iou(mask.box, box) > 0",
            "test_a_mask_counts_where_the_object_is_where_it_was",
        ),
        (
            "last-mask-is-sure-at-its-outline",
            "(BLUR * size[0], BLUR * size[1])",
            "(0, 0)",
            "test_a_moved_mask_is_scaled_and_unsure_at_its_outline",
        ),
    ),
    *_in(
        "src/bana/label/workers.py",
        "tests/label/test_warm_start.py",
        (
            "frames-do-not-depend-on-the-last",
            'f"{digest}{last.digest}"',
            'f"{digest}"',
            "test_what_follows_a_changed_frame_is_labeled_anew",
        ),
    ),
    *_in(
        "src/bana/label/refined.py",
        "tests/label/test_refined.py",
        (
            "shares-of-the-opinions-swapped",
            "(1 - share) * log_odds(refiner, _REFINER_LIMIT) + share * log_odds(labeler",
            "share * log_odds(refiner, _REFINER_LIMIT) + (1 - share) * log_odds(labeler",
            "test_without_a_share_the_labeler_has_no_say",
        ),
        (
            "labeler-has-its-share-everywhere",
            "weight = share * _iou_of_claims(box, labeler)",
            "weight = share",
            "test_the_labeler_has_less_weight_where_its_mask_is_another",
        ),
        (
            "the-last-box-owns-a-pixel",
            "claims & (probability > greatest[strip])",
            "claims",
            "test_the_surest_box_owns_a_pixel_and_the_first_of_equals",
        ),
        (
            "unowned-pixels-are-as-sure-as-their-box",
            "np.subtract(1, greatest, out=greatest, where=owner < 0)",
            "pass",
            "test_a_pixel_that_no_box_claims_has_no_owner",
        ),
        (
            "larger-boxes-come-to-the-front",
            "key=lambda index: -owner[boxes[index].place].size",
            "key=lambda index: owner[boxes[index].place].size",
            "test_a_larger_box_is_not_brought_to_the_front_of_a_smaller_one",
        ),
        (
            "the-labelers-dissent-is-lost",
            "np.where(alone == y_crf, labeler, alone)",
            "alone",
            "test_labels_agree_where_all_three_are_of_one_opinion",
        ),
        (
            "expected-union-without-the-mask",
            "float(within.sum() + probability[~within].sum())",
            "float(probability.sum())",
            "test_the_expected_iou_is_that_of_the_loops",
        ),
    ),
]

_REFINE = [
    *_in(
        "src/bana/refine/losses.py",
        "tests/refine/test_refine_losses.py",
        (
            "all-cells-weigh-alike",
            'reduction="none") * weights).sum()',
            'reduction="none")).sum()',
            "test_losses_are_those_of_the_loops",
        ),
        ("reach-away-from-the-box", "F.softplus(-line)", "F.softplus(line)", "test_losses_are_those_of_the_loops"),
        (
            "reach-of-cells-outside-the-box",
            "logits.masked_fill(~inside, _OUTSIDE)",
            "logits",
            "test_an_empty_prediction_does_not_reach_into_its_box",
        ),
        (
            "reach-in-rows-and-columns-adds-up",
            ".clamp(min=1)).sum() / 2",
            ".clamp(min=1)).sum()",
            "test_losses_are_those_of_the_loops",
        ),
        (
            "both-of-a-pair-must-be-in-the-box",
            "(like & (in_a | in_b))",
            "(like & (in_a & in_b))",
            "test_losses_are_those_of_the_loops",
        ),
        (
            "pairs-want-two-labels",
            "torch.logaddexp(yes_a + yes_b, no_a + no_b)",
            "torch.logaddexp(yes_a + no_b, no_a + yes_b)",
            "test_losses_are_those_of_the_loops",
        ),
        (
            "one-diagonal-of-pairs-is-forgotten",
            "(2, 2), (2, -2))",
            "(2, 2), (2, 2))",
            "test_losses_are_those_of_the_loops",
        ),
    ),
    *_in(
        "src/bana/refine/samples.py",
        "tests/refine/test_refine_samples.py",
        (
            "targets-are-not-mirrored",
            "sample.targets.flip(-1)",
            "sample.targets",
            "test_images_targets_and_boxes_are_flipped_together",
        ),
        (
            "weights-are-not-mirrored",
            "sample.weights.flip(-1)",
            "sample.weights",
            "test_images_targets_and_boxes_are_flipped_together",
        ),
        (
            "boxes-are-not-mirrored",
            "torch.stack([side - x1, y0, side - x0, y1], 1)",
            "torch.stack([x0, y0, x1, y1], 1)",
            "test_boxes_are_tight_around_their_targets",
        ),
        (
            "unknown-parts-dilute-targets",
            "share = cut_window(known, window, side, 0) / np.maximum(weight, 1)",
            "share = cut_window(known, window, side, 0) / 255",
            "test_the_target_of_a_pixel_is_that_of_its_known_part",
        ),
        (
            "loosened-boxes-are-taken-for-tight",
            "tight = (np.tile(-window[:2], 2) + box)",
            "tight = (np.tile(-window[:2], 2) + given)",
            "test_boxes_are_tight_around_their_targets",
        ),
        (
            "what-lies-beyond-the-image-is-known",
            "weight = cut_window(target.weight, window, side, 0)",
            "weight = cut_window(target.weight, window, side, 255)",
            "test_nothing_is_known_of_what_lies_beyond_the_image_or_is_labeled_in_two_ways",
        ),
        (
            "empty-boxes-are-learned-from",
            'box.status == "ok" and',
            'box.status != "rejected" and',
            "test_small_boxes_and_those_without_labels_are_left_out",
        ),
    ),
    *_in(
        "src/bana/refine/targets.py",
        "tests/refine/test_targets.py",
        (
            "other-objects-are-sure",
            "& ~mask[place], CONTESTED, SURE)",
            "& ~mask[place], SURE, SURE)",
            "test_another_object_of_the_class_is_half_sure",
        ),
        (
            "labels-that-differ-are-learned",
            "np.where(inside == ignore_index, 0, ",
            "np.where(inside == ignore_index, SURE, ",
            "test_pixels_in_the_box_are_unknown_where_labels_do_not_agree",
        ),
        (
            "nothing-is-known-outside-the-box",
            "np.full(mask.shape, SURE, dtype=np.uint8)",
            "np.full(mask.shape, 0, dtype=np.uint8)",
            "test_nothing_outside_the_box_is_unknown",
        ),
    ),
    *_in(
        "src/bana/refine/task.py",
        "tests/refine/test_refine_task.py",
        (
            "refiner-boxes-half-a-pixel-off",
            "boxes = (batch.boxes - 0.5) / stride",
            "boxes = batch.boxes / stride",
            "test_the_loss_is_the_sum_of_its_parts",
        ),
        (
            "reach-weight-is-not-handed-on",
            "self.settings.reach_weight * reach",
            "0.2 * reach",
            "test_the_loss_is_the_sum_of_its_parts",
        ),
        (
            "pairwise-weight-is-not-handed-on",
            "self.settings.pairwise_weight * pairwise",
            "0.5 * pairwise",
            "test_the_loss_is_the_sum_of_its_parts",
        ),
        (
            "known-loss-is-a-mean-over-windows",
            "/ max(known, 1.0)",
            "/ windows",
            "test_the_loss_is_the_sum_of_its_parts",
        ),
    ),
    *_in(
        "src/bana/refine/windows.py",
        "tests/refine/test_windows.py",
        (
            "windows-as-wide-as-their-boxes",
            "centers - context * halves, centers + context * halves",
            "centers - halves, centers + halves",
            "test_windows_have_the_centers_of_their_boxes",
        ),
        (
            "pasted-half-a-pixel-off",
            "(place - low) / (high - low) * side - 0.5",
            "(place - low) / (high - low) * side",
            "test_pasted_maps_are_those_of_the_loops",
        ),
    ),
    *_in(
        "src/bana/refine/refiner.py",
        "tests/refine/test_refiner.py",
        (
            "mirrored-windows-are-not-turned-back",
            "(seen + turned.flip(-1)) / 2",
            "(seen + turned) / 2",
            "test_a_mirrored_image_has_mirrored_probabilities",
        ),
        (
            "windows-are-cut-for-boxes-as-given",
            "LOOSER * self.settings.context",
            "self.settings.context",
            "test_windows_are_cut_for_boxes_a_little_larger",
        ),
    ),
    *_in(
        "src/bana/refine/occlusion.py",
        "tests/refine/test_occlusion.py",
        (
            "hidden-pixels-stay-the-object",
            "np.where(hidden, np.uint8(0), boxed.target.target)",
            "boxed.target.target",
            "test_what_is_pasted_is_seen_and_surely_not_the_object",
        ),
    ),
    *_in(
        "src/bana/refine/synthetic.py",
        "tests/refine/test_synthetic.py",
        (
            "slivers-are-pasted",
            "< _LEAST_SIDE",
            "< 1",
            "test_an_object_of_which_too_little_is_seen_is_not_pasted",
        ),
        (
            "made-up-objects-are-not-turned-or-squeezed",
            "@ points",
            "@ np.ones_like(points)",
            "test_made_up_objects_are_tight_and_of_many_shapes",
        ),
    ),
    *_in(
        "src/bana/refine/targets.py",
        "tests/refine/test_targets.py",
        (
            "boxes-shrink-to-masks-that-lack-parts",
            "bounds if box_iou(bounds, box) >= _LEAST_COVER else box",
            "bounds",
            "test_the_tight_box_is_that_of_the_mask_unless_the_mask_lacks_a_part",
        ),
    ),
    *_in(
        "src/bana/refine/samples.py",
        "tests/refine/test_refine_samples.py",
        (
            "small-boxes-are-loosened-too",
            "{False: 0.5, True: 0.1}",
            "{False: 0.5, True: 0.5}",
            "test_few_boxes_of_shrunk_windows_are_loosened",
        ),
        (
            "no-synthetic-objects",
            "boxed = self._synthetic(image, cutout)",
            "pass",
            "test_synthetic_objects_take_the_place_of_boxes",
        ),
    ),
]

_SEGMENT = [
    *_in(
        "src/bana/segment/losses.py",
        "tests/segment/test_losses.py",
        (
            "confidence-of-bare-cosines",
            "((1 + cosine.to(exact)).clamp(min=least)",
            "((cosine.to(exact)).clamp(min=least)",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "confidence-is-not-damped",
            "torch.div(*distances).pow(gamma)",
            "torch.div(*distances)",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "confidence-always-detached",
            "    if detach_confidence:\n        confidence",
            "    if True:\n        confidence",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "confidence-never-detached",
            "confidence = confidence.detach()",
            "confidence = confidence * 1.0",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "weighted-surprise-divided-by-pixels",
            "all_reduce(confidence.sum()).clamp(min=_MIN_TOTAL)",
            "all_reduce(torch.ones_like(confidence).sum()).clamp(min=_MIN_TOTAL)",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "lam-is-forgotten-in-the-loss",
            "_mean_surprise(log_h, agreed, all_reduce) + lam * on_differing",
            "_mean_surprise(log_h, agreed, all_reduce) + on_differing",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "agreed-term-is-a-sum",
            "-log_h.where(counted, 0).sum() / all_reduce(counted.sum()).clamp(min=1)",
            "-log_h.where(counted, 0).sum()",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "y-ret-may-be-ignored-in-the-noisy-region",
            " & (y_ret != ignore_index)",
            "",
            "test_agreed_and_differing_pixels_are_disjoint_regions",
        ),
        (
            "y-crf-is-learned-where-labels-differ",
            "y_crf.where(y_crf == y_ret, ignore_index)",
            "y_crf.where(y_crf == y_crf, ignore_index)",
            "test_agreed_and_differing_pixels_are_disjoint_regions",
        ),
        (
            "beta-trusts-the-prediction",
            "beta * from_label + (1 - beta) * from_prediction",
            "(1 - beta) * from_label + beta * from_prediction",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
        (
            "entropy-is-rewarded",
            "return -(log_h.exp() * log_h).sum(1)",
            "return (log_h.exp() * log_h).sum(1)",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
    ),
    *_in(
        "src/bana/segment/noise_aware.py",
        "tests/segment/test_losses.py",
        (
            "gradient-without-temperature",
            "(by_log_h * ctx.temperature)",
            "(by_log_h * 1.0)",
            "test_derivative_is_that_of_the_value",
        ),
        (
            "best-class-has-no-gradient",
            "+= by_best.where(~same, 0)",
            "+= 0 * by_best.where(~same, 0)",
            "test_derivative_is_that_of_the_value",
        ),
        (
            "label-has-no-gradient-through-the-confidence",
            "(by_label + by_best.where(same, 0))",
            "(by_best.where(same, 0))",
            "test_derivative_is_that_of_the_value",
        ),
        (
            "softmax-without-temperature",
            "out=out).mul_(temperature).exp_()",
            "out=out).exp_()",
            "test_value_and_gradient_are_those_of_the_flattened_version",
        ),
    ),
    *_in(
        "src/bana/segment/filling_rate.py",
        "tests/segment/test_losses.py",
        (
            "filling-rates-are-rounded-up",
            "limit.round().flatten()",
            "limit.ceil().flatten()",
            "test_filling_rate_loss_is_that_of_the_loops",
        ),
        (
            "the-worst-pixels-are-kept",
            "score.argsort(descending=True, stable=True)",
            "score.argsort(descending=False, stable=True)",
            "test_filling_rate_keeps_exactly_the_best_pixels",
        ),
        (
            "background-is-kept-by-a-rate",
            "    limit[:, 0] = labels[0].numel()\n",
            "",
            "test_filling_rate_loss_is_that_of_the_loops",
        ),
    ),
    *_in(
        "src/bana/segment/task.py",
        "tests/segment/test_segment_task.py",
        (
            "gamma-is-not-handed-on",
            "gamma=settings.gamma,",
            "gamma=7.0,",
            "test_the_noise_aware_loss_is_that_of_the_settings",
        ),
        (
            "temperature-is-not-handed-on",
            '"temperature": self.settings.temperature,',
            '"temperature": 20.0,',
            "test_the_noise_aware_loss_is_that_of_the_settings",
        ),
        (
            "balanced-classes-weigh-alike",
            "class_weight=weight, **common",
            "class_weight=None, **common",
            "test_balanced_classes_weigh_their_pixels",
        ),
        (
            "lam-is-not-handed-on",
            "lam=settings.lam,\n                    detach",
            "lam=0.1,\n                    detach",
            "test_the_noise_aware_loss_is_that_of_the_settings",
        ),
        (
            "detach-confidence-is-not-handed-on",
            "detach_confidence=settings.detach_confidence,",
            "detach_confidence=False,",
            "test_the_noise_aware_loss_is_that_of_the_settings",
        ),
        (
            "y-ret-is-what-differing-pixels-learn",
            "*(cosine, y_crf, y_ret),",
            "*(cosine, y_ret, y_crf),",
            "test_y_crf_is_what_differing_pixels_learn",
        ),
        (
            "ignore-label-is-always-255",
            "return self.targets.class_table.ignore_index",
            "return 255",
            "test_of_more_than_254_classes_another_label_is_ignored",
        ),
        (
            "lam-of-entropy-is-not-handed-on",
            "entropy_regularized_loss(cosine, y_crf, y_ret, lam=settings.lam, **common)",
            "entropy_regularized_loss(cosine, y_crf, y_ret, **common)",
            "test_every_other_loss_is_that_of_the_settings",
        ),
        (
            "lam-of-bootstrapping-is-not-handed-on",
            "hard=hard, lam=settings.lam, **common",
            "hard=hard, **common",
            "test_every_other_loss_is_that_of_the_settings",
        ),
        (
            "bootstrapping-is-always-hard",
            'hard = settings.loss == "bootstrap_hard"',
            "hard = True",
            "test_every_other_loss_is_that_of_the_settings",
        ),
        (
            "y-ret-for-y-crf",
            '"y_crf": y_crf, "y_ret": y_ret}[settings.loss]',
            '"y_crf": y_ret, "y_ret": y_ret}[settings.loss]',
            "test_every_other_loss_is_that_of_the_settings",
        ),
        (
            "sigma-in-the-log-with-the-papers-gamma",
            "confidence_map(rows, labels, gamma=self.settings.gamma,",
            "confidence_map(rows, labels, gamma=7.0,",
            "test_the_log_says_how_much_differs_and_how_sure_labels_are_there",
        ),
        (
            "confidence-maps-with-the-papers-gamma",
            "self.targets, self.settings.gamma, epoch",
            "self.targets, 7.0, epoch",
            "test_confidence_maps_are_drawn_with_the_gamma_of_the_settings",
        ),
        (
            "rejected-boxes-have-a-filling-rate",
            'if box.status != "rejected":',
            "if True:",
            "test_mean_filling_rates_are_those_of_each_class_and_1_without_a_box",
        ),
    ),
    *_in(
        "src/bana/segment/samples.py",
        "tests/segment/test_segment_samples.py",
        (
            "padding-is-labeled-background",
            "mask_fill=targets.class_table.ignore_index",
            "mask_fill=0",
            "test_padding_is_gray_and_ignored_in_every_map",
        ),
        (
            "padding-is-class-255-of-many",
            "mask_fill=targets.class_table.ignore_index",
            "mask_fill=255",
            "test_more_than_254_classes_keep_their_numbers_and_have_another_ignore_label",
        ),
        ("padding-is-black", "image_fill=GRAY", "image_fill=0", "test_padding_is_gray_and_ignored_in_every_map"),
        (
            "labels-are-cut-to-8-bits",
            'each.astype("int32")',
            'each.astype("uint8").astype("int32")',
            "test_more_than_254_classes_keep_their_numbers_and_have_another_ignore_label",
        ),
        (
            "y-crf-and-y-ret-swapped-in-samples",
            "found_crf, found_ret, boxes = crop.masks[:3].long()",
            "found_ret, found_crf, boxes = crop.masks[:3].long()",
            "test_maps_follow_flips_and_crops",
        ),
        (
            "true-masks-are-only-y-crf",
            "return mask, mask",
            'return mask, self.labels.label_map("y_ret", record) if self.labels else mask * 0',
            "test_a_true_mask_stands_in_the_place_of_both_labels",
        ),
        (
            "true-masks-are-not-used",
            "if record.image_id in self.masks:",
            "if record.image_id in self.masks and self.labels is None:",
            "test_an_image_without_a_mask_keeps_its_labels_beside_one_that_has_one",
        ),
    ),
    *_in(
        "src/bana/segment/model.py",
        "tests/segment/test_segment_model.py",
        (
            "scores-are-dot-products-with-features",
            "F.conv2d(F.normalize(features, dim=1), ",
            "F.conv2d(features, ",
            "test_answers_are_the_cosines_of_features_and_class_weights",
        ),
        (
            "scores-are-dot-products-with-weights",
            "weights = F.normalize(self.class_weights, dim=1)",
            "weights = self.class_weights",
            "test_answers_are_the_cosines_of_features_and_class_weights",
        ),
        (
            "class-weights-begin-long",
            "torch.randn(classes + 1, width) * 0.01",
            "torch.randn(classes + 1, width)",
            "test_new_class_weights_are_short_so_that_a_step_turns_them",
        ),
        (
            "cosines-upsampled-with-corners-cut",
            "align_corners=True",
            "align_corners=False",
            "test_upsampled_cosines_keep_corners_on_corners",
        ),
    ),
    *_in(
        "src/bana/segment/validation.py",
        "tests/segment/test_validation.py",
        (
            "confidence-maps-of-y-ret",
            "y_crf, _ = targets.of(record)",
            "_, y_crf = targets.of(record)",
            "test_confidence_maps_show_the_confidence_in_y_crf",
        ),
        (
            "confidence-maps-ignore-gamma",
            "gamma=gamma, ignore_index=ignore)",
            "ignore_index=ignore)",
            "test_confidence_maps_show_the_confidence_in_y_crf",
        ),
        (
            "the-least-likely-class-is-scored",
            ".argmax(1)[0].cpu().numpy()",
            ".argmin(1)[0].cpu().numpy()",
            "test_a_network_that_is_right_everywhere_scores_100",
        ),
    ),
    *_in(
        "src/bana/segment/segmenter.py",
        "tests/segment/test_segmenter.py",
        (
            "mirror-images-are-not-turned-back",
            "network(pixels.flip(3)).flip(3)",
            "network(pixels.flip(3))",
            "test_cosines_are_the_mean_of_scales_and_mirror_images",
        ),
        (
            "cosines-of-scales-add-up",
            "return total / len(scales)",
            "return total",
            "test_cosines_are_the_mean_of_scales_and_mirror_images",
        ),
        (
            "small-objects-stay-small-in-prediction",
            "scale * network.magnification",
            "scale",
            "test_a_network_of_magnified_images_sees_images_magnified",
        ),
        (
            "prediction-with-the-papers-temperature",
            "(self._temperature * cosine)",
            "(20.0 * cosine)",
            "test_probabilities_are_the_softmax_of_the_cosines_times_the_temperature",
        ),
    ),
]

_INSTANCE = [
    *_in(
        "src/bana/instance/losses.py",
        "tests/instance/test_instance_losses.py",
        (
            "unreliable-pixels-are-learned",
            "(losses * weights).sum()",
            "losses.sum()",
            "test_the_mask_loss_is_that_of_the_loops",
        ),
        (
            "mask-loss-divided-by-all-pixels",
            "total = weights.sum()",
            "total = torch.ones_like(weights).sum()",
            "test_the_mask_loss_is_that_of_the_loops",
        ),
        (
            "mask-confidence-of-the-object-everywhere",
            "torch.where(masks >= 0.5, cosine, -cosine)",
            "cosine",
            "test_the_confidence_is_that_of_the_loops",
        ),
        (
            "mask-confidence-is-not-damped",
            ".clamp(min=0) ** gamma",
            ".clamp(min=0)",
            "test_the_confidence_is_that_of_the_loops",
        ),
        (
            "dice-without-its-2",
            "shared = 2 * (found * wanted)",
            "shared = 1 * (found * wanted)",
            "test_the_projection_loss_is_that_of_the_loops",
        ),
        (
            "projection-on-one-axis-alone",
            "for axis in (1, 2):",
            "for axis in (1, 1):",
            "test_the_projection_loss_is_that_of_the_loops",
        ),
        (
            "pairs-of-all-colors",
            "counted = (alike & (inside_1 | inside_2))",
            "counted = (inside_1 | inside_2)",
            "test_the_pairwise_loss_is_that_of_the_loops",
        ),
        (
            "colors-are-not-linear",
            "torch.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)",
            "scaled",
            "test_colors_are_those_of_the_standard",
        ),
    ),
    *_in(
        "src/bana/instance/heads.py",
        "tests/instance/test_instance_heads.py",
        (
            "ignored-regions-are-negatives",
            "torch.where((labels == 0) & inside, _IGNORED, labels)",
            "labels",
            "test_background_in_ignored_boxes_is_not_known",
        ),
        (
            "objects-in-ignored-regions-are-lost",
            "torch.where((labels == 0) & inside, _IGNORED, labels)",
            "torch.where(inside, _IGNORED, labels)",
            "test_background_in_ignored_boxes_is_not_known",
        ),
        (
            "cells-by-their-corners",
            "(torch.arange(side, device=boxes.device) + 0.5) / side",
            "torch.arange(side, device=boxes.device) / side",
            "test_cells_of_a_proposal_are_in_a_box_by_their_centers",
        ),
        (
            "reliable-masks-learn-uncertain-pixels",
            "loss = mask_loss(class_logits, masks, certain)",
            "loss = mask_loss(class_logits, masks, certain + uncertain)",
            "test_what_uncertain_pixels_count_is_the_loss_that_is_chosen",
        ),
        (
            "lam-of-masks-is-not-handed-on",
            "self.objective.lam * mask_loss",
            "0.1 * mask_loss",
            "test_what_uncertain_pixels_count_is_the_loss_that_is_chosen",
        ),
    ),
    *_in(
        "src/bana/instance/model.py",
        "tests/instance/test_instance_task.py",
        (
            "gamma-of-masks-is-not-handed-on",
            "MaskObjective(settings.mask_loss, settings.gamma, settings.lam)",
            "MaskObjective(settings.mask_loss, lam=settings.lam)",
            "test_the_settings_say_what_the_mask_head_learns",
        ),
    ),
    *_in(
        "src/bana/instance/samples.py",
        "tests/instance/test_instance_samples.py",
        (
            "hardly-visible-objects-are-learned",
            "(crop.visible >= MIN_VISIBLE)",
            "(crop.visible > 0)",
            "test_boxes_of_which_little_is_seen_are_not_learned_and_not_background",
        ),
        (
            "objects-without-a-mask-are-reliable",
            '"reliable": maps[-2] & has_mask,',
            '"reliable": maps[-2] | ~has_mask,',
            "test_a_rejected_box_is_ignored_and_an_empty_one_has_a_class_but_no_mask",
        ),
        (
            "padding-is-reliable",
            "image_fill=GRAY, mask_fill=0)",
            "image_fill=GRAY, mask_fill=1)",
            "test_labeled_pixels_are_reliable_or_uncertain_and_padding_is_neither",
        ),
    ),
    *_in(
        "src/bana/instance/task.py",
        "tests/instance/test_instance_task.py",
        (
            "pairwise-loss-begins-in-full",
            "min(1.0, progress / _PAIRWISE_WARMUP)",
            "1.0",
            "test_the_pairwise_loss_gets_its_full_weight_in_the_first_ninth_of_a_run",
        ),
        (
            "every-process-has-the-whole-loss",
            "name: each / shares for",
            "name: each for",
            "test_processes_share_the_sum_of_all_losses",
        ),
    ),
]

_EVALUATE = [
    *_in(
        "src/bana/evaluate/confusion.py",
        "tests/evaluate/test_confusion.py",
        (
            "rows-and-columns-swapped",
            "truth[kept].astype(np.int64) * self.num_classes + prediction[kept].astype(np.int64)",
            "prediction[kept].astype(np.int64) * self.num_classes + truth[kept].astype(np.int64)",
            "test_rows_are_truth_and_columns_prediction",
        ),
        (
            "void-truth-is-background",
            "valid = truth != self.ignore_index",
            "truth = np.where(truth == self.ignore_index, 0, truth)\n        valid = truth >= 0",
            "test_iou",
        ),
        (
            "open-pixels-are-not-wrong-for-all",
            "union = _union(confusion.counts) + confusion.ignored_counts",
            "union = _union(confusion.counts)",
            "test_ignored_pixels_counted_as_wrong",
        ),
    ),
    *_in(
        "src/bana/evaluate/boundary.py",
        "tests/evaluate/test_boundary.py",
        (
            "edge-of-the-image-is-no-border",
            "np.pad(mask, width)",
            'np.pad(mask, width, mode="edge")',
            "test_the_edge_of_the_image_is_a_border",
        ),
        (
            "band-as-a-share-of-the-longer-side",
            "BAND_SHARE_OF_DIAGONAL * math.hypot(height, width)",
            "BAND_SHARE_OF_DIAGONAL * max(height, width)",
            "test_band_is_two_percent_of_the_diagonal",
        ),
        (
            "band-is-the-border-of-the-outside",
            "return mask & ~eroded",
            "return ~eroded",
            "test_band_of_a_square_is_its_ring",
        ),
        (
            "void-has-a-boundary",
            "prediction = np.where(truth == self.ignore_index, truth, prediction)",
            "pass",
            "test_what_is_predicted_on_void_does_not_matter",
        ),
    ),
    *_in(
        "src/bana/evaluate/instances.py",
        "tests/evaluate/test_mask_ap.py",
        (
            "crowds-must-be-found",
            '"iscrowd": int(each.crowd)',
            '"iscrowd": 0',
            "test_a_mask_on_a_crowd_is_neither_right_nor_wrong",
        ),
        (
            "ap75-at-70",
            "ap75=mean_percent(each[5, :, 0]",
            "ap75=mean_percent(each[4, :, 0]",
            "test_streaming_gives_what_cocoeval_gives_for_the_whole_set",
        ),
        (
            "small-objects-are-all",
            "ap_small=mean_percent(each[:, :, 1]",
            "ap_small=mean_percent(each[:, :, 0]",
            "test_streaming_gives_what_cocoeval_gives_for_the_whole_set",
        ),
        (
            "only-a-hundred-masks-count",
            "_NO_LIMIT = 10**9",
            "_NO_LIMIT = 100",
            "test_more_than_a_hundred_objects_of_a_class_in_one_image",
        ),
        (
            "absent-classes-score-0",
            "if (values > -1).all()]",
            "]",
            "test_the_class_must_be_right_and_classes_weigh_alike",
        ),
    ),
    *_in(
        "src/bana/evaluate/detection_scores.py",
        "tests/evaluate/test_detection_scores.py",
        (
            "ar10-of-100-masks",
            "((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (3, 2))",
            "((0, 0), (0, 2), (0, 2), (1, 2), (2, 2), (3, 2))",
            "test_all_numbers_are_those_of_pycocotools",
        ),
    ),
    *_in(
        "src/bana/evaluate/detections.py",
        "tests/evaluate/test_detection_scores.py",
        (
            "areas-of-boxes-are-not-used",
            "area = float(width) * float(height)",
            "area = None",
            "test_all_numbers_are_those_of_pycocotools",
        ),
    ),
    *_in(
        "src/bana/evaluate/filling_rates.py",
        "tests/evaluate/test_filling_rates.py",
        (
            "filling-rate-of-the-whole-image",
            "float(mask[pixel_slices(box)].mean())",
            "float(mask.mean())",
            "test_masks_cut_by_boxes",
        ),
        (
            "crowds-have-a-filling-rate",
            "if mask is not None and not crowd:",
            "if mask is not None:",
            "test_crowds_have_no_rate",
        ),
    ),
    *_in(
        "src/bana/evaluate/without_truth.py",
        "tests/evaluate/test_without_truth.py",
        (
            "contrast-of-any-outline",
            "gradient[outline].mean() / max(gradient.mean(), 1e-6)",
            "gradient[outline].mean() / max(gradient[outline].mean(), 1e-6)",
            "test_the_true_mask_fits_best",
        ),
        (
            "fit-ignores-the-box",
            " * box_iou(mask_bounds(mask), box)",
            "",
            "test_a_mask_on_edges_that_leaves_sides_of_its_box_empty_fits_less",
        ),
        (
            "gradient-down-alone",
            "for axis in (0, 1):\n        if",
            "for axis in (0,):\n        if",
            "test_an_image_of_one_row_has_a_gradient",
        ),
    ),
    *_in(
        "src/bana/pipeline/choice.py",
        "tests/pipeline/test_labeler_choice.py",
        (
            "any-gain-keeps-the-trained-labeler",
            "> MIN_GAIN * fits",
            "> fits",
            "test_some_images_are_compared_and_all_are_labeled",
        ),
        (
            "first-images-are-compared",
            "dataset[number * len(dataset) // count]",
            "dataset[number]",
            "test_spaced_images_are_spread_evenly",
        ),
    ),
    *_in(
        "src/bana/evaluate/calibration.py",
        "tests/evaluate/test_calibration.py",
        (
            "calibration-bins-weigh-alike",
            "sum(each.share * abs(",
            "sum(0.1 * abs(",
            "test_bins_are_those_of_the_obvious_way",
        ),
    ),
    *_in(
        "src/bana/evaluate/boxes.py",
        "tests/evaluate/test_evaluate_boxes.py",
        ("unknown-classes-are-wrong", "if predicted_class is not None:", "if True:", "test_box_accuracy"),
        (
            "crowd-boxes-are-labeled",
            "if not record.crowd[index]:",
            "if True:",
            "test_crowd_boxes_are_ignored_and_behind",
        ),
    ),
]

_DATA = [
    *_in(
        "src/bana/data/records.py",
        "tests/data/test_records.py",
        (
            "larger-boxes-in-front",
            'kind="stable")[::-1].tolist()',
            'kind="stable").tolist()',
            "test_boxes_are_painted_from_the_largest_to_the_smallest_and_the_first_of_equals_last",
        ),
        (
            "boxes-one-pixel-too-large",
            "int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))",
            "int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5)) + 1",
            "test_the_pixels_of_a_box_are_those_whose_center_lies_in_it",
        ),
        (
            "boxes-by-the-corners-of-pixels",
            "int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))",
            "int(np.floor(low)), int(np.floor(high))",
            "test_the_pixels_of_a_box_are_those_whose_center_lies_in_it",
        ),
        (
            "tiny-boxes-have-no-pixel",
            "last = first + 1",
            "last = first",
            "test_the_pixels_of_a_box_are_those_whose_center_lies_in_it",
        ),
        (
            "class-255-is-ignored",
            "return 255 if len(self.names) <= 254 else 65535",
            "return 255",
            "test_the_ignore_label_is_no_class",
        ),
        (
            "of-255-classes-the-last-is-ignored",
            "return 255 if len(self.names) <= 254 else 65535",
            "return 255 if len(self.names) <= 255 else 65535",
            "test_the_ignore_label_is_no_class",
        ),
        (
            "of-255-classes-labels-have-8-bits",
            "np.uint8 if len(self.names) <= 254 else",
            "np.uint8 if len(self.names) <= 255 else",
            "test_the_ignore_label_is_no_class",
        ),
        (
            "boxes-that-touch-overlap",
            "(boxes[:, 0] >= x1) |",
            "(boxes[:, 0] > x1) |",
            "tests/label/test_instances.py::test_boxes_that_touch_do_not_overlap",
        ),
    ),
    *_in(
        "src/bana/data/truth.py",
        "tests/data/test_data_masks.py",
        (
            "crowds-are-painted-as-objects",
            "found = None if record.crowd[index] else masks.part(index)",
            "found = masks.part(index)",
            "test_crowd_is_ignored_behind_objects_and_so_is_a_box_without_mask",
        ),
        (
            "objects-are-numbered-from-0",
            "self._numbers == number + 1",
            "self._numbers == number",
            "test_instance_truth_from_a_map_of_numbers_leaves_void_out",
        ),
    ),
    *_in(
        "src/bana/data/formats/voc.py",
        "tests/data/test_formats_voc.py",
        (
            "voc-is-0-based",
            "(xmin - 1, ymin - 1, xmax, ymax)",
            "(xmin, ymin, xmax, ymax)",
            "test_corners_become_pixel_edges",
        ),
        (
            "voc-boxes-lose-their-last-pixel",
            "(xmin - 1, ymin - 1, xmax, ymax)",
            "(xmin - 1, ymin - 1, xmax - 1, ymax - 1)",
            "test_corners_become_pixel_edges",
        ),
        ("difficult-is-forgotten", '.strip() == "1"', '.strip() == "yes"', "test_a_record_has_all_that_the_folder_has"),
    ),
    *_in(
        "src/bana/data/formats/voc_write.py",
        "tests/data/test_data_convert.py",
        (
            "voc-is-written-0-based",
            "(x0 + 1, y0 + 1, x1, y1)",
            "(x0, y0, x1, y1)",
            "test_boxes_survive_from_any_format_to_any",
        ),
    ),
    *_in(
        "src/bana/data/formats/coco_entries.py",
        "tests/data/test_formats_coco.py",
        (
            "coco-widths-are-corners",
            "box = (x0, y0, x0 + width, y0 + height)\n            if is_plain_box",
            "box = (x0, y0, width, height)\n            if is_plain_box",
            "test_a_record_has_all_that_the_file_has",
        ),
        (
            "coco-classes-from-0",
            "kept.index(first_of_name[name]) + 1",
            "kept.index(first_of_name[name])",
            "test_a_record_has_all_that_the_file_has",
        ),
        (
            "coco-classes-in-the-order-of-the-file",
            "order = sorted(names, key=lambda number: (isinstance(number, str), number))",
            "order = list(names)",
            "test_a_record_has_all_that_the_file_has",
        ),
        (
            "coco-crowds-are-objects",
            'crowd=_flag(annotation, "iscrowd")',
            "crowd=False",
            "test_a_record_has_all_that_the_file_has",
        ),
    ),
    *_in(
        "src/bana/data/formats/coco_write.py",
        "tests/data/test_data_convert.py",
        (
            "coco-is-written-with-corners",
            '"bbox": [x0, y0, round(x1 - x0, 4), round(y1 - y0, 4)]',
            '"bbox": [x0, y0, x1, y1]',
            "test_boxes_survive_from_any_format_to_any",
        ),
        (
            "coco-ids-are-made-anew",
            "classes.source_ids[record.class_ids[index] - 1]",
            "int(record.class_ids[index])",
            "test_boxes_survive_from_any_format_to_any",
        ),
    ),
    *_in(
        "src/bana/data/formats/cvat_video.py",
        "tests/data/test_formats_cvat_video.py",
        (
            "boxes-move-on-after-a-track-has-left",
            "first not in found or ",
            "",
            "test_nothing_is_between_an_end_and_a_new_beginning",
            "test_interpolation_is_what_the_slow_way_gives",
        ),
        (
            "boxes-move-to-the-next-key-frame-too-soon",
            "(number - first) / (second - first)",
            "(number - first + 1) / (second - first)",
            "test_a_box_moves_evenly_between_key_frames",
        ),
    ),
    *_in(
        "src/bana/data/formats/mot.py",
        "tests/data/test_formats_mot.py",
        (
            "mot-counts-pixels-from-0",
            "1.0 if _listed(sequence) is None else 0.0",
            "0.0",
            "test_a_line_becomes_a_box_with_a_track",
        ),
        (
            "mot-counts-what-the-benchmark-does-not",
            "counts=not is_truth or confidence != 0",
            "counts=True",
            "test_what_the_benchmark_does_not_count_is_ignored_and_no_background",
        ),
    ),
    *_in(
        "src/bana/report/preview.py",
        "tests/report/test_preview.py",
        (
            "colors-go-by-the-order-of-objects",
            "else colors[key] for number",
            "else list(colors.values())[number - 1] for number",
            "test_a_track_has_one_color_on_all_frames",
        ),
    ),
    *_in(
        "src/bana/data/formats/yolo.py",
        "tests/data/test_formats_yolo.py",
        (
            "yolo-centers-are-corners",
            "return (cx - w / 2) * size[0], (cy - h / 2) * size[1], (cx + w / 2) * size[0], (cy + h / 2) * size[1]",
            "return cx * size[0], cy * size[1], (cx + w) * size[0], (cy + h) * size[1]",
            "test_lines",
        ),
        (
            "yolo-classes-from-0",
            "enumerate(numbers, start=1)}, index.keypoints",
            "enumerate(numbers, start=0)}, index.keypoints",
            "test_lines",
        ),
        ("yolo-outlines-with-x-and-y-swapped", "share * size[index % 2]", "share * size[1 - index % 2]", "test_lines"),
    ),
    *_in(
        "src/bana/data/formats/yolo_write.py",
        "tests/data/test_data_convert.py",
        (
            "yolo-is-written-with-classes-from-1",
            "str(class_id - 1)",
            "str(class_id)",
            "test_boxes_survive_from_any_format_to_any",
        ),
    ),
]

_CRF = [
    *_in(
        "densecrf/src/densecrf/kernel.py",
        "densecrf/tests/test_general.py",
        (
            "places-are-not-scaled",
            ".astype(np.float32) / places[axis]",
            ".astype(np.float32)",
            "densecrf/tests/test_dense.py::test_equals_mean_field_with_the_dictionary_lattices",
        ),
        (
            "sigmas-of-the-other-axis",
            "features[len(grid) - 1 - axis] = line",
            "features[axis] = line",
            "test_a_sigma_for_every_axis_and_channel",
        ),
        (
            "compatibility-without-weight",
            "(matrix * self.weight).astype(np.float32)",
            "matrix.astype(np.float32)",
            "test_a_compatibility_says_what_pairs_of_labels_cost",
        ),
        (
            "a-diagonal-is-a-cost",
            "matrix = -np.diag(given)",
            "matrix = np.diag(given)",
            "test_potts_as_a_matrix_or_a_diagonal_is_potts",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/dense.py",
        "densecrf/tests/test_dense.py",
        (
            "bilateral-kernel-without-colors",
            'widths["bilateral_sxy"], widths["bilateral_srgb"])',
            'widths["bilateral_sxy"])',
            "test_equals_mean_field_with_the_dictionary_lattices",
        ),
        (
            "gaussian-kernel-as-wide-as-the-bilateral",
            'Kernel(weights["gaussian_weight"], widths["gaussian_sxy"])',
            'Kernel(weights["gaussian_weight"], widths["bilateral_sxy"])',
            "test_equals_mean_field_with_the_dictionary_lattices",
        ),
        (
            "one-iteration-more",
            'iterations=count("iterations", iterations, least=0),',
            'iterations=count("iterations", iterations, least=0) + 1,',
            "test_equals_mean_field_with_the_dictionary_lattices",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/prepared.py",
        "densecrf/tests/test_general.py",
        (
            "iterations-of-a-call-are-ignored",
            "return self._crf.iterations if iterations is None else",
            "return self._crf.iterations if True else",
            "test_a_call_of_a_prepared_image_may_have_its_own_number_of_updates",
        ),
        (
            "weight-of-a-matrix-counts-twice",
            "kernel.weight if kernel.compatibility is None else 1.0",
            "kernel.weight",
            "test_a_compatibility_says_what_pairs_of_labels_cost",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/general.py",
        "densecrf/tests/test_general.py",
        (
            "equal-labels-cost",
            "total += filtered.sum(0) - filtered",
            "total += filtered",
            "test_the_cost_of_every_update",
        ),
        (
            "pairs-count-twice-in-the-energy",
            "pairwise = 0.5 * np.einsum",
            "pairwise = 1.0 * np.einsum",
            "test_the_cost_of_every_update",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/arguments.py",
        "densecrf/tests/test_dense.py",
        (
            "probabilities-are-costs",
            "else -np.log(",
            "else np.log(",
            "test_probabilities_are_the_unary_of_their_logarithm",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/lattice.py",
        "densecrf/tests/test_lattice.py",
        (
            "symmetric-normalization-divides-twice",
            "scale = (factor / np.sqrt(row_sums)).astype(np.float32)",
            "scale = (factor / row_sums).astype(np.float32)",
            "test_filter_equals_the_dictionary_lattice",
        ),
        ("weight-is-squared", "np.float32(math.sqrt(self.weight))", "np.float32(self.weight)", "test_normalizations"),
        (
            "before-and-after-swapped",
            'if self.normalization == "before":',
            'if self.normalization == "after":',
            "test_normalizations",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/filtering.py",
        "densecrf/tests/test_lattice.py",
        (
            "blur-too-wide",
            "_HALF = np.float32(0.5)",
            "_HALF = np.float32(1.0)",
            "test_filter_equals_the_dictionary_lattice",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/embedding.py",
        "densecrf/tests/test_lattice.py",
        (
            "lattice-without-its-unit-deviation",
            "math.sqrt(2 / 3) * (dimensions + 1)",
            "math.sqrt(1 / 2) * (dimensions + 1)",
            "test_filter_equals_the_dictionary_lattice",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/mean_field.py",
        "densecrf/tests/test_dense.py",
        (
            "fixed-pixels-say-the-opposite",
            "costs.others[:] -= _fixed_messages(",
            "costs.others[:] += _fixed_messages(",
            "test_equals_mean_field_with_the_dictionary_lattices",
        ),
    ),
    *_in(
        "densecrf/src/densecrf/torch_backend.py",
        "densecrf/tests/test_torch_backend.py",
        (
            "torch-blur-too-wide",
            "values = values + 0.5 *",
            "values = values + 1.0 *",
            "test_equals_numpy_where_places_tie",
        ),
        (
            "torch-fixed-pixels-change",
            "torch.where(held, here, torch.softmax(scores, dim=1))",
            "torch.softmax(scores, dim=1)",
            "test_equals_numpy_on_a_photograph",
        ),
    ),
]

MISTAKES: tuple[Mistake, ...] = (
    *(*_CLASSIFY, *_NETWORKS, *_LABEL, *_REFINE),
    *(*_SEGMENT, *_INSTANCE, *_EVALUATE, *_DATA, *_CRF),
)
