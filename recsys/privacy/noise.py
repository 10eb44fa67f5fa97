"""Gaussian noise on the integers, sampled exactly.

The noise added to an integer statistic is round(Z) with Z ~ N(0, sigma²). Since round(x + z) = x + round(z) for an
integer x, the release is the Gaussian mechanism followed by rounding: post-processing, so the exact accounting of the
Gaussian mechanism (Balle and Wang 2018) holds with no slack, and no bit of a floating-point sum can tell what the
statistic was.

Exactness: Z is drawn by rejection from an exponential envelope (as in Canonne, Kamath and Steinke 2020, on the reals).
Every decision of the form "is this uniform below that number" compares 64 digits in float64 first. Where the two are
closer than `guard`, which is far more than float64 can be wrong by, the digits are drawn on and compared in interval
arithmetic until the decision is certain. docs/decisions/0003 tells why this and not the discrete Gaussian.
"""

import math
import os
from collections.abc import Callable
from typing import TypeAlias

import mpmath
import numpy as np
from numpy.typing import NDArray

from recsys.errors import PrivacyParameterError

Entropy: TypeAlias = Callable[[int], bytes]
"""Gives n random bytes: the operating system's in production, a seeded generator's `bytes` in tests."""

OS_ENTROPY: Entropy = os.urandom

GUARD = 1e-9
"""Decisions closer than this are made in interval arithmetic; float64 errs by less than 1e-12 in each of them."""

MAX_SIGMA = 2.0**48
"""Above this the 64 digits of a draw leave too few behind the point."""

CHUNK = 1 << 17
"""Candidates drawn at once: 4 MiB of entropy."""

Integers = NDArray[np.int64]
Digits = NDArray[np.uint64]


def rounded_gaussian(sigma: float, size: int, entropy: Entropy = OS_ENTROPY, *, guard: float = GUARD) -> Integers:
    """`size` independent draws of round(N(0, sigma²)), as int64.

    Guarantees:
        - The distribution is exactly that of a real Gaussian rounded to the nearest integer.

    Tested by: tests/recsys/privacy/test_noise.py

    Raises:
        PrivacyParameterError: sigma is not within [1, 2^48].
    """
    if not 1 <= sigma <= MAX_SIGMA:
        msg = f"expected a noise scale between 1 and 2^48 grid units, got {sigma}; choose a finer or a coarser grid"
        raise PrivacyParameterError(msg)
    draws = np.empty(0, dtype=np.int64)
    while len(draws) < size:
        draws = np.concatenate([draws, _accepted(sigma, min(CHUNK, 3 * (size - len(draws)) + 64), entropy, guard)])
    return draws[:size]


def symmetric_gaussian(n: int, sigma: float, entropy: Entropy = OS_ENTROPY) -> Integers:
    """(n, n) symmetric integer noise: standard deviation sigma on the diagonal, sigma / sqrt(2) off it.

    On a symmetric statistic this is the Gaussian mechanism for the Frobenius norm: an entry off the diagonal counts
    twice in the norm, and so carries half the variance.
    """
    rows, columns = np.triu_indices(n, 1)
    noise = np.zeros((n, n), dtype=np.int64)
    noise[rows, columns] = rounded_gaussian(sigma / math.sqrt(2), len(rows), entropy)
    noise += noise.T
    noise[np.arange(n), np.arange(n)] = rounded_gaussian(sigma, n, entropy)
    return noise


def _accepted(sigma: float, candidates: int, entropy: Entropy, guard: float) -> Integers:
    """The draws that survive rejection.

    A candidate for |Z| is t (V + U): V geometric, U uniform, t a power of 2.
    """
    shift = round(math.log2(sigma))
    scale = sigma / 2.0**shift
    digits = np.frombuffer(entropy(32 * candidates), dtype="<u8").reshape(4, candidates)
    geometric, uniform, keep_uniform, keep = digits / 2.0**64
    minus_log = -np.log(np.maximum(geometric, 2.0**-64))
    whole = np.floor(minus_log)
    odds_uniform = np.exp(-uniform)
    odds = np.exp(-((whole + uniform - scale**2) ** 2) / (2 * scale**2))
    accept = (keep_uniform < odds_uniform) & (keep < odds)
    unsure = (
        (np.abs(minus_log - np.round(minus_log)) < guard)
        | (geometric < 2.0**-30)
        | (np.abs(keep_uniform - odds_uniform) < guard)
        | (np.abs(keep - odds) < guard)
    )
    magnitudes = _rounded(whole.astype(np.uint64), digits[1], shift)
    # Each candidate keeps its place: the caller cuts the end off, which must not be where one kind of draw gathers.
    for index in np.flatnonzero(unsure):
        exact = _decide(digits[:, index], scale, shift, entropy)
        accept[index], magnitudes[index] = exact is not None, exact or 0
    magnitudes = magnitudes[accept]
    signs = np.unpackbits(np.frombuffer(entropy(len(magnitudes) // 8 + 1), dtype=np.uint8))[: len(magnitudes)]
    return np.where(signs, magnitudes, -magnitudes)


def _rounded(whole: Digits, uniform: Digits, shift: int) -> Integers:
    """2^shift (whole + uniform / 2^64), rounded to the nearest integer: the digit behind the point decides."""
    integer = (whole << np.uint64(shift)) + ((uniform >> np.uint64(1)) >> np.uint64(63 - shift))
    half = (uniform >> np.uint64(63 - shift)) & np.uint64(1)
    return (integer + half).astype(np.int64)


def _decide(digits: Digits, scale: float, shift: int, entropy: Entropy) -> int | None:
    """The magnitude of one candidate whose decisions were too close for float64, or None if it is rejected."""
    values, bits = [int(digit) for digit in digits], 64
    while True:
        values = [(value << 64) | int.from_bytes(entropy(8), "little") for value in values]
        bits += 64
        outcome = _decide_with(values, bits, scale)
        if outcome is not None:
            accepted, whole = outcome
            return int(_rounded(np.array([whole], np.uint64), digits[1:2], shift)[0]) if accepted else None


def _decide_with(values: list[int], bits: int, scale: float) -> tuple[bool, int] | None:
    """Whether the candidate is accepted, and its V; None if this many digits do not settle it."""
    interval = mpmath.iv
    interval.prec = bits + 64
    geometric, uniform, keep_uniform, keep = (
        interval.mpf([value, value + 1]) / interval.mpf(2) ** bits for value in values
    )
    if not values[0]:
        return None
    minus_log = -interval.log(geometric)
    whole = int(mpmath.floor(minus_log.a))
    if whole != int(mpmath.floor(minus_log.b)):
        return None
    variance = interval.mpf(scale) ** 2
    verdicts = (
        _below(keep_uniform, interval.exp(-uniform)),
        _below(keep, interval.exp(-((whole + uniform - variance) ** 2) / (2 * variance))),
    )
    if False in verdicts:
        return False, whole
    return None if None in verdicts else (True, whole)


def _below(one: mpmath.ctx_iv.ivmpf, other: mpmath.ctx_iv.ivmpf) -> bool | None:
    """Whether the one number is below the other; None if their intervals overlap (mpmath's own `<` may raise there)."""
    if one.b < other.a:
        return True
    return False if one.a >= other.b else None
