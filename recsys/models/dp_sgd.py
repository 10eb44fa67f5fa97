"""Private gradient descent through torch and Opacus. The only file that imports them, and only when it trains.

One customer is one sample, with everything they bought. A step takes each customer with probability q (Poisson
sampling), solves the vectors of those taken from the present item factors and their own purchases (the fold-in of
implicit ALS; nobody keeps them), and moves the item factors along the sum of the customers' gradients, each clipped to
norm C, plus Gaussian noise of standard deviation z C. Of customer i, with the vector u_i held fixed, the loss is

    sum over own (1 - <u_i, v_j>)² + alpha0 sum over all <u_i, v_j>²

The item factors are the weight of one linear layer, from a customer's vector to the scores of all items. So there is no
list of items to pad and no table to look up twice, and the norm of a customer's gradient is that of the errors times
that of the vector: ghost clipping (Li et al. 2022) needs no gradient per customer.

Public, and no function of the data: q, the number of steps, the number of customers that is expected (the sum is
divided by q times it, never by the size of the data or of the batch), and the initial factors. The head is chosen by
released counts.

Opacus' `make_private` takes q and the divisor from the length of the data set, which is private; so the parts that it
would put together are put together here.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.sparse as sp
from dp_accounting import (
    ComposedDpEvent,
    DpEvent,
    ExplicitBracketInterval,
    GaussianDpEvent,
    PoissonSampledDpEvent,
    SelfComposedDpEvent,
    calibrate_dp_mechanism,
)
from dp_accounting.pld import PLDAccountant
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recsys.errors import InputError
from recsys.models.dp_als import factors_under, least_count_under, popular_items, ridge_model
from recsys.models.factors import ItemFactors
from recsys.privacy.accounting import mu_of
from recsys.privacy.noise import OS_ENTROPY, Entropy

if TYPE_CHECKING:
    import torch

Tensor: TypeAlias = "torch.Tensor"

STATISTIC = "clipped gradients of a sample"
"""What one step releases."""
PAYS_FOR_ROUNDING = 1 - 1e-9
"""Gradients are clipped to a little less than C, by more than float64 can be wrong by."""
LEAST_NOISE = 0.3
"""Below this noise multiplier the settings stay as they are: more steps would take longer and teach nothing."""
CUSTOMERS_AT_ONCE = 4096
"""A batch is gone through in parts of this many customers, and noise is added once, to the sum."""
RESOLUTION = 5e-4
"""Between two points of a privacy loss distribution; what lies between counts as the larger loss."""
ACCOUNTED_SHARE = 0.999
"""The noise is for this part of epsilon: another order of the same composition must not find it over budget."""
FINE_UP_TO = 32.0
"""The noise for a larger epsilon is searched for with points farther apart, in proportion."""
WEAK = 64.0
"""Above this epsilon, which promises nothing, samples are not counted on: noise as if everybody were in each step."""
MERSENNE_WORDS = slice(24, 24 + 624 * 8)
"""Where torch keeps the 624 words of its generator, 32 bits in each 8 bytes, within the bytes of its state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DPSGDConfig:
    """Settings of one training; public: none may come from customers' data.

    The defaults are one setting for every noise, chosen on the validation customers of split 0 of MovieLens 1M.
    """

    factors: int
    least_count: float
    """Items that so many customers bought, by released counts, get factors."""
    steps: int
    sampling_probability: float = 0.25
    """q: a power of 1/2, so that the sampler's uniform numbers meet it exactly."""
    clip_norm: float = 0.1
    """C: the longest that a customer's gradient may be."""
    learning_rate: float = 3.0
    """Of the first step, for gradients in units of C; it falls to 0 linearly."""
    regularization: float = 0.5
    """lambda, of the customers' vectors."""
    unobserved_weight: float = 0.8
    """alpha0: how much it matters that what was not bought scores 0."""
    momentum: float = 0.8
    initial_scale: float = 0.03
    """Standard deviation of the first item factors."""

    @classmethod
    def under(cls, noise_multiplier: float) -> "DPSGDConfig":
        """The settings for a training with this noise multiplier, all its releases taken together.

        Less noise bears more factors, steps and items. The three curves go through what was best at epsilon 1 and 8.
        """
        noise = max(noise_multiplier, LEAST_NOISE)
        return cls(
            factors=factors_under(noise, at_one=13.5, exponent=-0.37),
            least_count=least_count_under(noise_multiplier),
            steps=round(128 * noise**-0.5),
        )


def require_torch() -> None:
    """Return if torch and Opacus are installed.

    Raises:
        InputError: they are not.
    """
    missing = [name for name in ("torch", "opacus") if importlib.util.find_spec(name) is None]
    if missing:
        msg = (
            f"expected torch and Opacus for the trainer dp_sgd, got an installation without {' and '.join(missing)}; "
            "install them: pip install 'privrec[dp]'"
        )
        raise InputError(msg)


def training_event(
    noise_multiplier: float,
    *,
    counts_noise_multiplier: float,
    sampling_probability: float,
    steps: int,
    trainings: int = 1,
) -> DpEvent:
    """What so many trainings release, for dp-accounting: the counts, and each step on its Poisson sample."""
    step = PoissonSampledDpEvent(sampling_probability, GaussianDpEvent(noise_multiplier))
    training = ComposedDpEvent([GaussianDpEvent(counts_noise_multiplier), SelfComposedDpEvent(step, steps)])
    return SelfComposedDpEvent(training, trainings)


def epsilon_of_training(event: DpEvent, delta: float) -> float:
    """The epsilon of an event by its privacy loss distribution: never too small, and exact up to RESOLUTION."""
    return float(PLDAccountant(value_discretization_interval=RESOLUTION).compose(event).get_epsilon(delta))


@lru_cache(maxsize=64)  # a second each, asked for before the budget is checked and again by the training
def calibrated_noise_multiplier(
    epsilon: float,
    delta: float,
    *,
    counts_noise_multiplier: float,
    sampling_probability: float,
    steps: int,
    trainings: int = 1,
) -> float:
    """z: the least noise of each step with which all the trainings together are (epsilon, delta)-DP; 0 for infinity.

    Guarantees:
        - `epsilon_of_training` of `training_event` with it is at most epsilon.

    Tested by: tests/recsys/models/test_dp_sgd.py::test_the_noise_is_calibrated_to_epsilon_by_dp_accounting
    """
    if np.isinf(epsilon):
        return 0.0
    target = ACCOUNTED_SHARE * epsilon
    gradients = mu_of(target, delta) ** 2 / trainings - counts_noise_multiplier**-2
    unsampled = float(np.sqrt(steps / gradients))
    if epsilon > WEAK:
        return unsampled

    def event(noise_multiplier: float) -> DpEvent:
        return training_event(
            noise_multiplier,
            counts_noise_multiplier=counts_noise_multiplier,
            sampling_probability=sampling_probability,
            steps=steps,
            trainings=trainings,
        )

    def accountant() -> PLDAccountant:
        return PLDAccountant(value_discretization_interval=RESOLUTION * max(1.0, epsilon / FINE_UP_TO))

    bracket = ExplicitBracketInterval(unsampled * sampling_probability / 4, unsampled)
    tolerance = 1e-4 * unsampled * sampling_probability
    return float(calibrate_dp_mechanism(accountant, event, target, delta, bracket, tol=tolerance))


def train_dp_sgd(
    purchased: sp.csr_matrix,
    items: tuple[str, ...],
    released_counts: NDArray[np.float64],
    noise_multiplier: float,
    config: DPSGDConfig,
    *,
    expected_customers: int,
    entropy: Entropy = OS_ENTROPY,
    seed: int = 0,
) -> ItemFactors:
    """Item factors by private gradient descent.

    Args:
        purchased: (n_customers, n_items); what is stored was bought
        items: (n_items,) the catalogue
        released_counts: (n_items,) customers per item, as released
        noise_multiplier: z, of each step; 0 for no noise and no privacy
        config: the settings
        expected_customers: a public guess of how many there are; the right order of magnitude is enough
        entropy: where sampling and noise come from
        seed: for the initial factors, which depend on nothing else

    Guarantees:
        - Given the released counts, the model is a function of `config.steps` sums of gradients, each over a Poisson
          sample of the customers with Gaussian noise of this noise multiplier: book them before the call.
        - A customer adds at most C to a sum, in Euclidean norm, and customers' vectors are not in the model.
        - Sampling and noise are torch's, in float64: its generator (Mersenne twister) is filled from `entropy`, but is
          not cryptographic, and floating point noise is Gaussian up to its rounding only. Where that is not enough,
          train `gram` or `dp_als`, whose noise is exact.

    Tested by: tests/recsys/models/test_dp_sgd.py

    Raises:
        InputError: torch or Opacus is not installed.
    """
    require_torch()
    head = popular_items(released_counts, config.least_count)
    own = sp.csr_matrix(purchased[:, head] != 0, dtype=np.float64)
    first = config.initial_scale * np.random.default_rng(seed).standard_normal((len(head), config.factors))
    descent = Descent(first, noise_multiplier, config, expected_customers=expected_customers, entropy=entropy)
    # The matrices are small: more threads would wait for each other, and round otherwise.
    with threadpool_limits(limits=1):
        for step, batch in enumerate(descent.samples(own.shape[0])):
            descent.step(own[batch], learning_rate=config.learning_rate * (1 - step / config.steps))
    return ridge_model(
        descent.item_factors,
        head,
        released_counts,
        items,
        regularization=config.regularization,
        unobserved_weight=config.unobserved_weight,
    )


class Descent:
    """The item factors on their way down: Opacus' parts, with public constants where it would look at the data."""

    def __init__(
        self,
        item_factors: NDArray[np.float64],
        noise_multiplier: float,
        config: DPSGDConfig,
        *,
        expected_customers: int,
        entropy: Entropy = OS_ENTROPY,
    ) -> None:
        """A descent from these item factors, (head, factors)."""
        import torch  # noqa: PLC0415 - seconds and most of an install, which no other trainer needs
        from opacus.grad_sample import GradSampleModuleFastGradientClipping  # noqa: PLC0415 - as torch
        from opacus.optimizers import DPOptimizerFastGradientClipping  # noqa: PLC0415 - as torch

        self._config = config
        self._sampling = generator(entropy)
        self._scores = torch.nn.Linear(*reversed(item_factors.shape), bias=False, dtype=torch.float64)
        self._scores.weight.data = torch.from_numpy(item_factors.copy())
        self._module = GradSampleModuleFastGradientClipping(
            self._scores, loss_reduction="sum", max_grad_norm=config.clip_norm * PAYS_FOR_ROUNDING
        )
        self._optimizer = DPOptimizerFastGradientClipping(
            torch.optim.SGD(self._scores.parameters(), lr=0.0, momentum=config.momentum),
            noise_multiplier=noise_multiplier,
            max_grad_norm=config.clip_norm,
            expected_batch_size=config.sampling_probability * expected_customers,
            generator=generator(entropy),
        )

    @property
    def item_factors(self) -> NDArray[np.float64]:
        """(head, factors): as they are now."""
        return self._scores.weight.detach().numpy()

    def samples(self, n_customers: int) -> Iterator[list[int]]:
        """The positions of the customers of each step: every one by a draw of their own; a sample may be empty."""
        from opacus.utils.uniform_sampler import UniformWithReplacementSampler  # noqa: PLC0415 - as torch

        return iter(
            UniformWithReplacementSampler(
                num_samples=n_customers,
                sample_rate=self._config.sampling_probability,
                generator=self._sampling,
                steps=self._config.steps,
            )
        )

    def step(self, bought: sp.csr_matrix, *, learning_rate: float) -> None:
        """Take one step on a sample of customers, (n_sample, head), 1 where one bought the item."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate / self._config.clip_norm
        starts = range(0, max(bought.shape[0], 1), CUSTOMERS_AT_ONCE)
        for start in starts:
            self.backward(bought[start : start + CUSTOMERS_AT_ONCE])
            self._optimizer.signal_skip_step(do_skip=start != starts[-1])
            self._optimizer.step()

    def backward(self, bought: sp.csr_matrix) -> None:
        """Add the clipped gradients of these customers to those that wait for the step."""
        import torch  # noqa: PLC0415 - as above
        from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping  # noqa: PLC0415 - as torch

        own = torch.from_numpy(bought.toarray())
        vectors = customer_vectors(self._scores.weight.detach(), own, self._config)
        # Opacus hooks fire only where an input wants a gradient; that of the vectors is thrown away with them.
        scores = self._module(vectors.requires_grad_())
        losses = (own * (scores - 1) ** 2 + self._config.unobserved_weight * scores**2).sum(dim=1) / 2
        DPTensorFastGradientClipping(self._module, self._optimizer, losses, loss_reduction="sum").backward()


def customer_vectors(item_factors: Tensor, own: Tensor, config: DPSGDConfig) -> Tensor:
    """(n_customers, factors): each customer's least squares solution, from these factors and own purchases alone."""
    import torch  # noqa: PLC0415 - as above

    d = item_factors.shape[1]
    shared = config.unobserved_weight * item_factors.T @ item_factors
    shared = shared + config.regularization * torch.eye(d, dtype=item_factors.dtype)
    products = (item_factors[:, :, None] * item_factors[:, None, :]).reshape(-1, d * d)
    left = (own @ products).reshape(-1, d, d) + shared
    return torch.linalg.solve(left, own @ item_factors)


def generator(entropy: Entropy) -> "torch.Generator":
    """A generator of torch with every word of its state from `entropy`: of a seed it would keep 32 bits."""
    import torch  # noqa: PLC0415 - as above

    made = torch.Generator()
    made.manual_seed(0)
    state = made.get_state().numpy().copy()
    state[MERSENNE_WORDS].view("<u8")[:] = np.frombuffer(entropy(624 * 4), dtype="<u4")
    made.set_state(torch.from_numpy(state))
    return made
