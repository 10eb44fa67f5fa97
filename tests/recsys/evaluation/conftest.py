"""Matrices written as lists of the columns that have an entry."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.sparse as sp

Build = Callable[[Sequence[Sequence[int]], int], sp.csr_matrix]


@pytest.fixture(scope="session")
def matrix_of() -> Build:
    """Makes a CSR matrix of the columns that each row has an entry in, and the number of columns."""

    def build(rows: Sequence[Sequence[int]], n_items: int) -> sp.csr_matrix:
        matrix = np.zeros((len(rows), n_items), dtype=np.float32)
        for row, columns in enumerate(rows):
            matrix[row, list(columns)] = 1
        return sp.csr_matrix(matrix)

    return build
