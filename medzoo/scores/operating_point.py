"""Thresholds of classes that reach a sensitivity or a specificity on val."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Study files are read without NumPy.
    from numpy import ndarray

_FORM = re.compile(r"(sensitivity|specificity)\s*>=\s*(\d*\.?\d+)")


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold has to reach, one class against the rest.

    Args:
        measure: `sensitivity` or `specificity`.
        least: The least that it may be on val, above 0, at most 1.
    """

    measure: str
    least: float

    @classmethod
    def parse(cls, text: str) -> "OperatingPoint":
        """Reads it from text.

        Raises:
            ValueError: If it is anything else.

        Example:

        >>> OperatingPoint.parse("sensitivity>=0.95")
        OperatingPoint(measure='sensitivity', least=0.95)
        """
        found = _FORM.fullmatch(text.strip())
        if found is None or not 0 < float(found[2]) <= 1:
            raise ValueError(
                "`operating_point` must say what val has to reach. Expected "
                "`sensitivity>=` or `specificity>=` and a share above 0, 1 at "
                f"most. Received: operating_point={text!r}."
            )
        return cls(found[1], float(found[2]))

    def choose(self, probabilities: "ndarray", labels: "ndarray") -> "ndarray":
        """Chooses the threshold of each class.

        A class is found where its probability is the threshold or more. Of
        the thresholds that reach the least, it is the highest for a
        sensitivity, and the lowest for a specificity.

        Args:
            probabilities: Of val, shape `(n, num_classes)`.
            labels: Shape `(n,)`, none of them -1.

        Returns:
            Shape `(num_classes,)`; NaN where val has no image to choose by.

        Example:

        >>> import numpy as np
        >>> shares = np.array([0.1, 0.4, 0.6, 0.8])
        >>> both = np.stack([1 - shares, shares], axis=1)
        >>> labels = np.array([0, 1, 1, 1])
        >>> OperatingPoint("sensitivity", 1).choose(both, labels)
        array([0.9, 0.4])
        """
        import numpy as np

        is_first = self.measure == "sensitivity"
        found = [
            self._choose_one(scores[(labels == label) == is_first])
            for label, scores in enumerate(np.asarray(probabilities).T)
        ]
        return np.array(found, "float64")

    def _choose_one(self, scores: "ndarray") -> float:
        """Chooses by the images that have to be found, or left out."""
        import numpy as np

        if not len(scores):
            return math.nan
        number = math.ceil(self.least * len(scores) - 1e-9)
        if self.measure == "sensitivity":
            return float(np.sort(scores)[len(scores) - number])
        return float(np.nextafter(np.sort(scores)[number - 1], np.inf))
