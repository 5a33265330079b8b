"""What `medzoo evaluate --corruptions` shows and writes."""

from pathlib import Path

from medzoo.record import Robustness


def format_robustness(found: Robustness) -> str:
    """Writes balanced errors as a table: a line a kind, a column a severity."""
    lines = [f"balanced error, clean      {found.clean:.3f}"]
    lines.append(f"{'severity':<20}{'':6}1     2     3     4     5  mean")
    means = found.by_kind.items()
    for (kind, mean), errors in zip(means, found.errors, strict=True):
        values = "".join(f"{error:6.3f}" for error in errors)
        lines.append(f"{kind.replace('_', ' '):<20}{values}{mean:6.3f}")
    lines.append(f"{'mean of all kinds':<20}{'':30}{found.mean:6.3f}")
    return "\n".join(lines)


def write_robustness(found: Robustness, folder: Path) -> Path:
    """Writes `corruptions.csv`: kind, severity from 1, and balanced error."""
    from medzoo.files import write_csv

    rows = [("none", 0, float(found.clean))] + [
        (kind, severity, error)
        for kind, errors in zip(found.kinds, found.errors.tolist(), strict=True)
        for severity, error in enumerate(errors, 1)
    ]
    path = folder / "corruptions.csv"
    write_csv(path, ("corruption", "severity", "balanced_error"), rows)
    return path
