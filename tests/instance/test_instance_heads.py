import pytest
import torch
from torchvision.models.detection.roi_heads import RoIHeads

from bana.instance.heads import MaskObjective, box_cells, without_ignored
from bana.instance.losses import MASK_LOSSES
from bana.instance.model import DETECTOR, InstanceNetwork
from bana.nn.backbones import create_backbone
from bana.pipeline.recipe import Recipe
from bana.presets import load_preset
from reference import mask_loss_loops


def test_background_in_ignored_boxes_is_not_known():
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 10], [6, 0, 16, 10], [4, 0, 14, 10], [50, 50, 60, 60]]).float()
    labels = torch.tensor([0, 3, 0, 0, 0])
    ignored = torch.tensor([[0, 0, 10, 10], [2, 2, 3, 3]]).float()
    assert without_ignored(labels, boxes, ignored).tolist() == [-1, 3, 0, -1, 0]
    torch.testing.assert_close(without_ignored(labels, boxes, ignored[:0]), labels)


def test_the_share_in_an_ignored_box_is_that_of_the_loops():
    generator = torch.Generator().manual_seed(1)
    corners = torch.rand(2, 60, 2, generator=generator).sort(0).values * 50
    boxes = torch.cat([corners[0], corners[1] + 1], dim=1)
    found = without_ignored(torch.zeros(56), boxes[:56], boxes[56:]) == -1
    shares = [
        max(mask_loss_loops.share_inside(box, other) for other in boxes[56:].tolist()) for box in boxes[:56].tolist()
    ]
    assert found.tolist() == [share >= 0.5 for share in shares]
    assert 2 < found.sum() < 54


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return InstanceNetwork(create_backbone("lite0", "random"), width=16, classes=3, box_samples=32)


def target(boxes, labels, side=97, ignored=()):
    masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0 : (y0 + y1) // 2, x0:x1] = True
    return {
        "boxes": torch.tensor(boxes).float().reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": masks,
        "reliable": torch.ones_like(masks),
        "uncertain": torch.zeros_like(masks),
        "ignored": torch.tensor(ignored).float().reshape(-1, 4),
    }


def test_where_all_is_reliable_losses_are_torchvisions_own(network):
    """The same modules in torchvision's heads, with the same random choice of proposals."""
    ours = network.roi_heads
    plain = RoIHeads(
        *(ours.box_roi_pool, ours.box_head, ours.box_predictor, 0.5, 0.5, 32, 0.25, None, 0.05, 0.5, 100),
        *(ours.mask_roi_pool, ours.mask_head, ours.mask_predictor),
    )
    generator = torch.Generator().manual_seed(2)
    features = {
        str(level): torch.rand(2, 16, side, side, generator=generator) for level, side in enumerate((13, 7, 4, 2))
    }
    targets = [target([(5, 5, 60, 70), (40, 30, 90, 90)], [1, 3]), target([(20, 20, 50, 50)], [2])]
    proposals = [torch.tensor([[4, 4, 62, 72], [38, 28, 91, 93], [0, 0, 20, 20], [18, 21, 52, 49]]).float()] * 2
    results = []
    for heads in (ours, plain):
        torch.manual_seed(3)
        results.append(heads(features, list(proposals), [(97, 97)] * 2, targets)[1])
    assert results[0].keys() == results[1].keys()
    for name, loss in results[1].items():
        torch.testing.assert_close(results[0][name], loss)
        assert loss > 0


def losses_by(network, mask_loss, targets, lam=0.1):
    before = network.roi_heads.objective
    network.roi_heads.objective = MaskObjective(mask_loss, lam=lam)
    torch.manual_seed(4)
    images = torch.rand(len(targets), 3, 97, 97) * 255
    losses = network.losses(images, targets)
    network.roi_heads.objective = before
    return {name: loss.item() for name, loss in losses.items()}


def half_uncertain():
    """An object of whose mask the left half is reliable, the right half uncertain and wrong."""
    one = target([(10, 10, 80, 80)], [2])
    one["uncertain"][:, :, 45:] = True
    one["reliable"] = ~one["uncertain"]
    other = {name: values.clone() for name, values in one.items()}
    other["masks"][:, :, 55:] ^= True
    return one, other


def test_what_uncertain_pixels_count_is_the_loss_that_is_chosen(network):
    one, other = half_uncertain()
    loss = {name: [losses_by(network, name, [each])["loss_mask"] for each in (one, other)] for name in MASK_LOSSES[:3]}
    assert loss["reliable"][0] == pytest.approx(loss["reliable"][1], rel=1e-6)
    assert abs(loss["all"][0] - loss["all"][1]) > 1e-4
    assert abs(loss["noise_aware"][0] - loss["noise_aware"][1]) > 1e-6
    assert losses_by(network, "noise_aware", [one], lam=0)["loss_mask"] == pytest.approx(loss["reliable"][0], rel=1e-6)
    sure = target([(10, 10, 80, 80)], [2])
    for name in ("all", "noise_aware"):
        assert losses_by(network, name, [sure]) == pytest.approx(losses_by(network, "reliable", [sure]), rel=1e-6)


def test_boxinst_does_not_look_at_masks(network):
    one, other = half_uncertain()
    losses = losses_by(network, "boxinst", [one])
    assert losses == losses_by(network, "boxinst", [other])
    assert "loss_mask" not in losses
    assert 0 < losses["loss_projection"] < 2
    assert losses["loss_pairwise"] > 0
    assert losses_by(network, "boxinst", [target([], [])])["loss_mask"] == 0


@pytest.mark.parametrize("mask_loss", MASK_LOSSES)
def test_losses_of_masks_are_taken_in_full_precision(network, mask_loss):
    (one, _), before = half_uncertain(), network.roi_heads.objective
    network.roi_heads.objective = MaskObjective(mask_loss)
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(5)
        losses = network.losses(torch.rand(1, 3, 97, 97) * 255, [one])
    network.roi_heads.objective = before
    for name in losses.keys() & {"loss_mask", "loss_projection", "loss_pairwise"}:
        assert losses[name].dtype == torch.float32
        assert losses[name] > 0


def test_cells_of_a_proposal_are_in_a_box_by_their_centers():
    proposals = torch.tensor([[0, 0, 40, 40], [10, 0, 50, 80]]).float()
    boxes = torch.tensor([[10, 20, 100, 100], [10, 0, 31, 20]]).float()
    cells = box_cells(proposals, boxes, side=4)
    expected = torch.zeros(2, 4, 4, dtype=torch.bool)
    expected[0, 2:, 1:] = True  # centers at 5, 15, 25, 35
    expected[1, :1, :2] = True  # columns at 15, 25, 35, 45 and rows at 10, 30, 50, 70
    torch.testing.assert_close(cells, expected)


def test_images_without_objects_are_negatives(network):
    images = torch.rand(2, 3, 97, 97) * 255
    losses = network.losses(images, [target([], []), target([], [])])
    assert losses["loss_mask"] == losses["loss_box_reg"] == losses["loss_rpn_box_reg"] == 0
    assert losses["loss_classifier"] > 0
    assert losses["loss_objectness"] > 0


def test_an_image_that_is_all_crowd_teaches_nothing(network):
    """No anchor and no proposal is background there."""
    losses = network.losses(torch.rand(1, 3, 97, 97) * 255, [target([], [], ignored=[(-2000, -2000, 2000, 2000)])])
    assert not any(torch.nan_to_num(loss) for loss in losses.values())


def test_what_is_found_has_scores_classes_and_masks(network):
    found = []
    network.eval()
    score = network.roi_heads.score_thresh
    network.roi_heads.score_thresh = 0.0
    with torch.inference_mode():
        (found,) = network(torch.rand(1, 3, 97, 97) * 255)
    network.roi_heads.score_thresh = score
    network.train()
    assert len(found["boxes"]) > 0
    assert found["masks"].shape == (len(found["boxes"]), 1, 28, 28)
    assert found["labels"].min() >= 1
    assert found["labels"].max() <= 3
    assert (found["scores"].diff() <= 0).all()


def test_the_network_of_preset_coco_is_torchvisions_but_for_its_anchors():
    """Layer by layer the same shapes; each place has six anchors where torchvision's has three."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    settings = load_preset("coco", Recipe).instance
    ours = DETECTOR.build(settings, 90, seed=0, weights="random")
    theirs = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)

    def shapes(*parts):
        return sorted(tuple(value.shape) for part in parts for value in part.parameters())

    assert shapes(ours.pyramid) == shapes(theirs.backbone.fpn)
    assert shapes(ours.roi_heads) == shapes(theirs.roi_heads)
    assert shapes(ours.rpn.head.conv) == shapes(theirs.rpn.head.conv)
    convolutions = [tuple(value.shape) for value in ours.backbone.parameters() if value.ndim == 4]
    assert sorted(convolutions) == sorted(tuple(v.shape) for v in theirs.backbone.body.parameters() if v.ndim == 4)
    assert ours.rpn.anchor_generator.num_anchors_per_location() == [6] * 5
    assert ours.rpn.head.cls_logits.out_channels == 6
