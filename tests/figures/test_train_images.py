"""What the report says of augmentation, smoothed labels and averaged weights."""

import dataclasses

from fake_results import results_of

from stages.figures.protocol import train_images

PLAIN = "No training image is shifted or mirrored. No label is smoothed. The weights are those of the last step."
TRAIN_ACCURACY = (
    " The accuracy on the training images is of the images as they are, and the training loss of the learning curves "
    "is what each step minimises."
)
ALL = {"augment_shift": 2, "augment_flip": True, "label_smoothing": 0.1, "ema_decay": 0.99}


def with_recipe(results, of_variants=False, **changes):
    """The results with these changes of the base recipe, or of every variant's."""
    settings = results.settings
    if not of_variants:
        recipe = settings.recipe.model_copy(update=changes)
        return dataclasses.replace(results, settings=settings.model_copy(update={"recipe": recipe}))
    variants = {}
    for key, variant in settings.variants.items():
        recipe = variant.run.recipe.model_copy(update=changes)
        variants[key] = variant.model_copy(update={"run": variant.run.model_copy(update={"recipe": recipe})})
    return dataclasses.replace(results, settings=settings.model_copy(update={"variants": variants}))


def test_the_base_recipe_is_described_whatever_it_does():
    results = results_of("three")
    assert train_images(results) == PLAIN
    assert train_images(with_recipe(results, **ALL)) == (
        "In each epoch, each training image is shifted at random by up to 2 pixels along each axis and mirrored at "
        "random (left and right) anew. Label smoothing spreads 0.1 evenly over all classes. A moving average of "
        "the weights is scored and probed, with a decay of 0.99."
    )


def test_where_a_variant_augments_the_accuracy_on_train_images_is_explained():
    assert train_images(with_recipe(results_of("three"), of_variants=True, augment_flip=True)) == PLAIN + TRAIN_ACCURACY
