"""Views of images and mixtures of batches."""

from __future__ import annotations

import pytest
import torch

from cutpoint.errors import RegimeError
from cutpoint.features.augmentation import augment, mix
from cutpoint.features.seeding import seeded

IMAGES = torch.randint(0, 255, (4, 3, 24, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["crop", "flip", "randaugment"])
def test_views_follow_from_seed_epoch_and_row_alone(kind: str) -> None:
    views = augment(IMAGES, kind, 0, 0, [5, 6, 7, 8])
    assert views.shape == IMAGES.shape and views.dtype == torch.uint8
    alone = augment(IMAGES[2:3], kind, 0, 0, [7])
    assert torch.equal(views[2], alone[0])
    for seed, epoch, row in ((1, 0, 7), (0, 1, 7), (0, 0, 9)):
        assert not torch.equal(augment(IMAGES[2:3], kind, seed, epoch, [row]), alone)


def test_augmenting_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    augment(IMAGES, "randaugment", 0, 0, range(4))
    assert torch.equal(torch.get_rng_state(), before)
    assert augment(IMAGES, "none", 0, 0, range(4)) is IMAGES


@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (6, 5, 7), (6, 9)])
def test_mixup_mixes_inputs_and_targets_by_one_share(shape: tuple[int, ...]) -> None:
    inputs, targets = torch.randn(shape), torch.tensor([0, 1, 2, 0, 1, 2])
    with seeded(3):
        mixed, probabilities = mix(inputs, targets, "mixup", 3)
    own = probabilities[0, 0]
    torch.testing.assert_close(mixed, own * inputs + (1 - own) * inputs.roll(1, 0))
    torch.testing.assert_close(probabilities.sum(1), torch.ones(6))
    assert probabilities[0, 2] == pytest.approx(1 - float(own)) and probabilities[0, 1] == 0


def test_cutmix_counts_the_pixels_it_pastes() -> None:
    inputs = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 16, 12)
    targets = torch.arange(4)
    shares = []
    for number in range(20):
        with seeded(number):
            mixed, probabilities = mix(inputs, targets, "cutmix", 4)
        for example in range(4):
            own = float((mixed[example] == example).float().mean())
            assert probabilities[example, example] == pytest.approx(own)
            assert probabilities[example, (example - 1) % 4] == pytest.approx(1 - own)
        shares.append(own)
    assert min(shares) < 0.5 < max(shares)
    with pytest.raises(RegimeError, match="CutMix"):
        mix(torch.randn(4, 9), targets, "cutmix", 4)
