"""Data sources: files, arrays and synthetic images, all as one `Dataset`."""

from medzoo.data.custom.address import is_custom
from medzoo.data.custom.options import Option
from medzoo.data.dataset import Dataset, Split
from medzoo.data.kept import keep
from medzoo.tasks import SHAPES, split_tasks

__all__ = ["Dataset", "Split", "load"]


@keep(2)
def load(
    task: str,
    source: str = "medmnist",
    size: int = 28,
    max_images: int | None = None,
    seed: int = 0,
    options: tuple[tuple[str, Option], ...] = (),
    resplit: bool = False,
) -> Dataset:
    """Loads the three splits of a task, or of several as one dataset.

    The last datasets are kept, since the runs of a study ask for the same ones.

    Args:
        task: Name of the task, or of several, joined by `+`.
        source: `medmnist` for the official files, `synthetic`, or the address
            of custom data.
        size: Height and width of the images.
        max_images: Keeps so many images of train, drawn by class.
        seed: Draws those, and new splits or folds; it changes nothing
            otherwise.
        options: Data options that do not hold their default.
        resplit: Splits train and val anew and leaves test alone.
    """
    names = (task,) if is_custom(source) else split_tasks(task)
    datasets = [
        _load(name, source, size, max_images, seed, options, resplit)
        for name in names
    ]
    if len(datasets) == 1:
        return datasets[0]
    from medzoo.data.multi_task import join_datasets

    return join_datasets(datasets)


def _load(
    task: str,
    source: str,
    size: int,
    max_images: int | None,
    seed: int,
    options: tuple[tuple[str, Option], ...],
    resplit: bool,
) -> Dataset:
    dataset: Dataset
    if task == SHAPES.name and source == "synthetic":
        from medzoo.data.shapes import make_shape_task

        dataset = make_shape_task(size)
    elif source == "synthetic":
        from medzoo.data.synthetic import make_synthetic

        dataset = make_synthetic(task, size)
    elif is_custom(source):
        from medzoo.data.custom.load import load_custom

        dataset = load_custom(task, source, size, dict(options))
    else:
        from medzoo.data.official import load_medmnist

        dataset = load_medmnist(task, size)
    if dict(options).get("drop_leaks") and not is_custom(source):
        dataset = _without_leaks(dataset, source, size)
    if resplit:
        from medzoo.data.folds import hold_out_fifth

        dataset = hold_out_fifth(
            dataset, source, size, dict(options), seed=seed
        )
    if "folds" in dict(options):
        from medzoo.data.folds import hold_out

        dataset = hold_out(dataset, source, size, dict(options), seed=seed)
    if max_images is None:
        return dataset
    from dataclasses import replace

    from medzoo.data.splits import take_stratified

    return replace(
        dataset, train=take_stratified(dataset.train, max_images, seed=seed)
    )


def _without_leaks(dataset: Dataset, source: str, size: int) -> Dataset:
    from medzoo.data.audit.leaks import drop_leaks

    if source == "synthetic":
        return drop_leaks(dataset)
    from medzoo.data.folders import derived_path, find_file

    path = derived_path(find_file(dataset.task, size), ".leaks.npy")
    return drop_leaks(dataset, kept_in=path)
