"""What a table says of its images and would be passed over in silence."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from medzoo.data.custom.options import Options
from medzoo.data.custom.table import Table, name_split

# Columns whose images belong into one split, by their usual names.
_GROUPS = re.compile(
    r"(patient|subject|participant|lesion|case)s?[ ._-]*(id|no|nr|number|name)?"
)
# How one-hot labels are written.
_NO, _YES = ("0", "0.0"), ("1", "1.0")
# What is between labels where an image has several.
_BETWEEN = re.compile(r"\s*[|;,+]\s*")


def refuse_unread(
    table: Table, options: Options, read: Collection[str]
) -> None:
    """Checks that no column has the splits, groups or labels, and is not read.

    Args:
        table: Of a file.
        options: Say which columns are read; an option of `""` asks for none.
        read: Names of the columns that are.

    Raises:
        ValueError: With the first column that has.
    """
    others = [name for name in table.columns if name not in read]
    for option in ("split", "group", "label"):
        asked = getattr(options, option)
        if asked != option or asked in table.columns:
            continue
        for name in others:
            is_meant = name.strip().lower() == option
            if is_meant or (option == "split" and _has_splits(table, name)):
                raise ValueError(
                    f"`{table.path}` has a column `{name}`, by its "
                    f"{'name' if is_meant else 'cells'} the {option} of each "
                    f"image, which is not read. Say {option} = "
                    f'"{name}" in the table [data] of a study or run file, or '
                    f'{option} = "" to pass it over; or call it `{option}`.'
                )


def _has_splits(table: Table, column: str) -> bool:
    splits = {name_split(row.get(column, "")) for _, row in table.rows}
    return None not in splits and {"train", "test"} <= splits


def note_unread(
    table: Table, options: Options, read: Collection[str]
) -> list[str]:
    """Words that a column of patients, or the like, is not read."""
    if options.group != "group" or "group" in table.columns:
        return []
    if options.group_by != "none":  # Headers of DICOM files say it.
        return []
    for name in table.columns:
        cells = {row.get(name, "") for _, row in table.rows} - {""}
        if (
            name not in read
            and _GROUPS.fullmatch(name.strip().lower())
            and 1 < len(cells) < len(table.rows)
        ):
            return [
                f"The column `{name}` is not read: images that share a value "
                "of it may be in several splits. "
                f'group = "{name}" in the table [data] keeps them together.'
            ]
    return []


def note_groups(table: Table, options: Options) -> list[str]:
    """Words what was taken as groups of a folder that has further folders."""
    for _, row in table.rows:
        group, folder = row["group"], Path(row["folder"])
        if options.group == "group" and group and folder.name != group:
            return [
                f"Folders right inside those of the classes, such as `{group}`,"
                " are taken as groups (patients), whose images stay in one "
                f"split; those inside them, such as `{folder.name}`, are not "
                "read. If patients are others, give a CSV file with a column "
                '`group`, or say group = "folder" in the table [data] for the '
                "innermost folders."
            ]
    return []


def describe_one_hot(table: Table) -> str:
    """Names columns of 0 and 1 of which each row has a single 1."""
    names = [
        name
        for name in table.columns
        if {row.get(name, "") for _, row in table.rows} <= {*_NO, *_YES}
    ]
    ones = {sum(row[name] in _YES for name in names) for _, row in table.rows}
    if len(names) < 2 or ones != {1}:
        return ""
    return (
        f" The columns {', '.join(names)} look like one-hot labels: write the "
        "name of the one that is 1 into a column `label` (in pandas: "
        "table[names].idxmax(axis=1))."
    )


def refuse_several(labels: Sequence[str], where: str) -> None:
    """Checks that no class is named by several others, as `a|b` is.

    Raises:
        ValueError: If one is.

    Example:

    >>> refuse_several(["mass", "mass, solid"], "t.csv")
    """
    names = {*labels}
    for name in sorted(names):
        parts = _BETWEEN.split(name)
        if len(parts) > 1 and names.issuperset(parts):
            raise ValueError(
                f"Class {name!r} of `{where}` names several others: "
                f"{', '.join(map(repr, parts))}. Expected one class an image. "
                "Keep one of them, leave such images out, or call the class "
                f"otherwise, such as {' and '.join(parts)!r}."
            )
