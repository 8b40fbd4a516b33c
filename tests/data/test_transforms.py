import torch
from torchvision import tv_tensors

from bana.data.transforms import random_crop, randomly_scaled


def drawn(transform, image, mask, times=40):
    """The results of so many draws, from one seed on."""
    torch.manual_seed(0)
    return [transform(tv_tensors.Image(image), tv_tensors.Mask(mask)) for _ in range(times)]


def test_half_of_the_crops_are_mirrored_from_left_to_right():
    image = torch.arange(12, dtype=torch.uint8).view(1, 3, 4).expand(3, 3, 4)
    transform = random_crop(33, 0.0, image_fill=200, mask_fill=99)
    mirrored = 0
    for crop, mask in drawn(transform, image, image[0]):
        shown = crop[:, (crop[0] != 200).any(1)][:, :, (crop[0] != 200).any(0)]
        assert torch.equal(mask[mask != 99], crop[0][crop[0] != 200])
        assert torch.equal(shown, image) or torch.equal(shown, image.flip(2))
        mirrored += torch.equal(shown, image.flip(2))
    assert 10 <= mirrored <= 30


def test_images_and_masks_are_padded_each_with_its_own_value():
    image, mask = torch.full((3, 5, 6), 50, dtype=torch.uint8), torch.full((1, 5, 6), 3)
    ((crop, labels),) = drawn(random_crop(33, 0.0, image_fill=127, mask_fill=255), image, mask, times=1)
    assert crop.shape[1:] == labels.shape[1:] == (33, 33)
    assert crop.unique().tolist() == [50, 127]
    assert labels.unique().tolist() == [3, 255]
    assert torch.equal(crop[0] == 50, labels[0] == 3)
    assert (crop[0] == 50).sum() == 5 * 6


def test_brightness_contrast_and_saturation_vary_with_the_jitter_and_masks_stay():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(60, 180, (3, 33, 33), generator=generator, dtype=torch.uint8)
    mask = torch.zeros(1, 33, 33, dtype=torch.int64)
    still = [crop.float() for crop, _ in drawn(random_crop(33, 0.0, image_fill=0, mask_fill=0), image, mask)]
    assert all(torch.equal(crop.mean(), image.float().mean()) for crop in still)
    varied = drawn(random_crop(33, 0.5, image_fill=0, mask_fill=0), image, mask)
    crops = [crop.float() for crop, _ in varied]
    brightness = torch.stack([crop.mean() for crop in crops])
    contrast = torch.stack([crop.mean(0).std() / crop.mean() for crop in crops])
    saturation = torch.stack([(crop.amax(0) - crop.amin(0)).mean() / crop.mean(0).std() for crop in crops])
    assert brightness.std() > 0.1 * brightness.mean()
    assert contrast.std() > 0.1 * contrast.mean()
    assert saturation.std() > 0.1 * saturation.mean()
    assert all(torch.equal(labels, mask) for _, labels in varied)


def test_all_that_lies_on_an_image_is_scaled_by_one_factor_of_the_range():
    torch.manual_seed(0)
    labels = torch.tensor([[1, 1, 7, 7]] * 4).repeat_interleave(10, 0).repeat_interleave(10, 1)[None]
    sides = set()
    for _ in range(20):
        image, mask, boxes = randomly_scaled(
            (0.5, 2.0),
            tv_tensors.Image(torch.zeros(3, 40, 40, dtype=torch.uint8)),
            tv_tensors.Mask(labels),
            tv_tensors.BoundingBoxes(torch.tensor([[20.0, 0.0, 40.0, 40.0]]), format="XYXY", canvas_size=(40, 40)),
        )
        side = image.shape[1]
        assert image.shape == (3, side, side)
        assert mask.shape == (1, side, side)
        assert mask.unique().tolist() == [1, 7]  # labels are not mixed
        torch.testing.assert_close(boxes.as_subclass(torch.Tensor), torch.tensor([[20.0, 0.0, 40.0, 40.0]]) * side / 40)
        sides.add(side)
    assert 20 <= min(sides) < 30
    assert 60 < max(sides) <= 80
