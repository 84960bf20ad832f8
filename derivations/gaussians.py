# %% [markdown]
# # Gaussians
#
# Everything in a diffusion model that can be computed exactly can be computed because Gaussians stay
# Gaussian: under affine maps, under sums of independent terms, under products of densities, and under
# chaining one noisy step to the next. This chapter proves those four facts, for isotropic Gaussians on
# $\mathbb{R}^d$ with $d$ left open; the chapters after it use nothing else.
#
# Vectors are written without indices. A formula that is linear in vectors holds coordinate by coordinate;
# numbers are made of vectors by the norm and the inner product alone.

# %%
from collections.abc import Callable

from sympy import Expr, Integer, Symbol, diff, exp, log, pi, sqrt

from derivations.proof.certificates import antiderivative, gaussian_integral, same_density
from derivations.proof.claims import Equation, Law, claim, mutant
from derivations.proof.obligations import Obligation, equal
from derivations.proof.symbols import (
    E,
    argument,
    d,
    eps,
    frequency,
    inner,
    m_1,
    m_2,
    mu,
    mu_1,
    mu_2,
    radius,
    rho,
    scale,
    shift,
    sigma,
    sigma_1,
    sigma_2,
    sqnorm,
    x,
    x_s,
    x_t,
    z,
)

# %% [markdown]
# ## The normaliser
#
# The square of the Gaussian integral is an integral over the plane. In polar coordinates the integrand
# gains a factor $r$, and with it an antiderivative.

# %%
radial = radius * exp(-(radius**2) / 2)
radial

# %%
primitive = -exp(-(radius**2) / 2)
primitive

# %% [markdown]
# The antiderivative vanishes at infinity, so the radial integral is minus its value at zero; the angle
# contributes $2\pi$.

# %%
normaliser = claim(
    "gaussians.normaliser",
    "The Gaussian integral",
    Equation(r"\left( \int e^{-z^{2}/2}\, dz \right)^{2}", 2 * pi),
    proof=lambda value: [
        antiderivative(primitive, radial, radius, "radial part"),
        equal(value, 2 * pi * (0 - primitive.subs(radius, 0)), "full turn times radial integral"),
    ],
    mutants=[
        mutant("the root forgotten: √(2π) for 2π", value=sqrt(2 * pi)),
        mutant("half a turn", value=pi),
    ],
    assumes=[
        "Fubini, polar coordinates, and exp(-r²/2) → 0 (Mathlib: integral_gaussian)",
        "SymPy's rules of differentiation; the fundamental theorem of calculus",
    ],
)
normaliser

# %% [markdown]
# ## The density
#
# We work with logarithms of densities: products become sums, and the exponentials disappear from every
# proof.


# %%
def log_normal(point: Expr, mean: Expr, variance: Expr) -> Expr:
    """The logarithm of N(point; mean, variance · I) on R^d."""
    return -d / 2 * log(2 * pi * variance) - sqnorm(point - mean) / (2 * variance)


log_normal(x, mu, sigma**2)


# %% [markdown]
# That this is the right normaliser, and that the parameters are what they are called, follows by completing
# the square: the coefficient of $-\frac{1}{2}\lVert x \rVert^2$ is the inverse variance, the linear term is
# the mean over the variance, and the integral is one.


# %%
def is_a_density(value: Expr) -> list[Obligation]:
    integral = gaussian_integral(value, x, "density")
    return [
        *integral.obligations,
        equal(integral.precision, 1 / sigma**2, "inverse variance"),
        equal(integral.shift, mu / sigma**2, "mean over variance"),
        equal(integral.log_value, 0, "logarithm of the integral"),
    ]


density = claim(
    "gaussians.density",
    "Density of an isotropic Gaussian",
    Equation(r"\log \mathcal{N}(x;\, \mu,\, \sigma^{2} I)", log_normal(x, mu, sigma**2)),
    proof=is_a_density,
    mutants=[
        mutant(
            "variance squared once more",
            value=log_normal(x, mu, sigma**4),
            seen="D2 line 142, where Σ is a covariance",
        ),
        mutant(
            "normaliser of one dimension", value=-log(2 * pi * sigma**2) / 2 - sqnorm(x - mu) / (2 * sigma**2)
        ),
        mutant("the factor two forgotten", value=-d / 2 * log(2 * pi * sigma**2) - sqnorm(x - mu) / sigma**2),
        mutant("2π forgotten", value=-d / 2 * log(sigma**2) - sqnorm(x - mu) / (2 * sigma**2)),
    ],
    uses=[normaliser],
    sources=["D2:142"],
    implemented_by=[
        "ddpm_ref.gaussian.log_density",
        "ddpm_ref.laws.log_joint",
        "ddpm_ref.laws.GaussianLaw.log_density",
        "ddpm_ref.laws.MixtureLaw.joint",
        "ddpm_ref.denoisers.Denoiser.log_density",
    ],
    assumes=["Fubini and affine change of variable, which carry the one-dimensional integral to R^d"],
)
density

# %% [markdown]
# ## Reparameterisation
#
# A sample of $\mathcal{N}(\mu, \sigma^2 I)$ is a standard normal one, stretched by $\sigma$ (the standard
# deviation, not the variance) and moved by $\mu$. By the change-of-variable formula the density at the
# image, times the stretch of volume $\sigma^d$, is the density at the source.


# %%
def is_sample_of(value: Expr, noise: Symbol, mean: Expr, variance: Expr) -> list[Obligation]:
    return [
        equal(
            log_normal(value, mean, variance) + d * log(diff(value, noise)),
            log_normal(noise, Integer(0), Integer(1)),
            "density at the image times stretch of volume",
        )
    ]


reparameterization = claim(
    "gaussians.reparameterization",
    "Reparameterisation",
    Equation(x, mu + sigma * eps),
    proof=lambda value: is_sample_of(value, eps, mu, sigma**2),
    mutants=[
        mutant(
            "variance for deviation",
            value=mu + sigma**2 * eps,
            seen="labml_nn#152, How-Diffusion-Models-Work#1",
        ),
        mutant("root of the deviation", value=mu + sqrt(sigma) * eps),
        mutant("mean scaled too", value=sigma * (mu + eps)),
    ],
    uses=[density],
    sources=["D2:35", "D2:37"],
    assumes=["change of variable for a density"],
)
reparameterization

# %% [markdown]
# ## Moments
#
# The kernels take expectations of polynomials in standard normals by two rules that know nothing of each
# other: Isserlis' theorem and Stein's identity. Both must agree with the derivatives at zero of the moment
# generating function $e^{\ell^2/2}$.

# %%
moment_generator = exp(argument**2 / 2)

moments = claim(
    "gaussians.moments",
    "Second moment",
    Equation(r"\mathbb{E}\left\lVert \mu + \sigma \epsilon \right\rVert^{2}", sqnorm(mu) + d * sigma**2),
    proof=lambda value: [
        equal(E(sqnorm(mu + sigma * eps)), value, "second moment in R^d"),
        *(
            equal(
                E(z**n),
                diff(moment_generator, argument, n).subs(argument, 0),
                f"moment {n} of one coordinate",
            )
            for n in range(1, 7)
        ),
    ],
    mutants=[
        mutant("dimension forgotten", value=sqnorm(mu) + sigma**2),
        mutant("deviation for variance", value=sqnorm(mu) + d * sigma),
        mutant("noise forgotten", value=sqnorm(mu)),
    ],
    uses=[density],
    sources=["D2:51"],
    assumes=["a law with a moment generating function near zero has the moments that its derivatives give"],
)
moments

# %% [markdown]
# ## The moment generating function
#
# $\log \mathbb{E}\, e^{\langle \lambda, x \rangle}$ is once more the integral of the exponential of a
# quadratic, so completing the square gives it.


# %%
def log_mgf(mean: Expr, variance: Expr, at: Expr = frequency) -> Expr:
    """The logarithm of the moment generating function of N(mean, variance · I)."""
    return inner(at, mean) + variance * sqnorm(at) / 2


def by_completing_the_square(value: Expr) -> list[Obligation]:
    integral = gaussian_integral(inner(frequency, x) + density.value, x, "generating function")
    return [*integral.obligations, equal(integral.log_value, value, "logarithm of the integral")]


mgf = claim(
    "gaussians.mgf",
    "Moment generating function",
    Equation(r"\log \mathbb{E}\, e^{\langle \lambda, x \rangle}", log_mgf(mu, sigma**2)),
    proof=by_completing_the_square,
    mutants=[
        mutant("one half forgotten", value=inner(frequency, mu) + sigma**2 * sqnorm(frequency)),
        mutant("deviation for variance", value=log_mgf(mu, sigma)),
        mutant(
            "characteristic function's sign", value=inner(frequency, mu) - sigma**2 * sqnorm(frequency) / 2
        ),
    ],
    sources=["D2:51"],
    assumes=["Mathlib: mgf_gaussianReal"],
)
mgf

# %% [markdown]
# ## Sums of independent Gaussians
#
# Independence turns the generating function of a sum into a product, and its logarithm into a sum. Means
# add and **variances** add; deviations do not. This is the step on which the closed form of the forward
# process rests.

# %%
sums = claim(
    "gaussians.sum",
    "Sum of independent Gaussians",
    Law("p_{x_1 + x_2}(x)", x, mu_1 + mu_2, sigma_1**2 + sigma_2**2),
    proof=lambda mean, variance: [
        equal(
            log_mgf(mu_1, sigma_1**2) + log_mgf(mu_2, sigma_2**2),
            log_mgf(mean, variance),
            "product of generating functions",
        )
    ],
    mutants=[
        mutant("deviations added", variance=(sigma_1 + sigma_2) ** 2),
        mutant("variances averaged", variance=(sigma_1**2 + sigma_2**2) / 2),
        mutant("means subtracted", mean=mu_1 - mu_2),
    ],
    uses=[mgf],
    sources=["D2:55", "D5:83"],
    assumes=[
        "a generating function that is finite near zero determines its law "
        "(Mathlib: gaussianReal_add_gaussianReal_of_indepFun)"
    ],
)
sums

# %% [markdown]
# ## Affine maps

# %%
affine = claim(
    "gaussians.affine",
    "Affine image of a Gaussian",
    Law("p_{a x + b}(x)", x, scale * mu + shift, scale**2 * sigma**2),
    proof=lambda mean, variance: [
        equal(
            log_mgf(mu, sigma**2, at=scale * frequency) + inner(frequency, shift),
            log_mgf(mean, variance),
            "generating function at aλ, times that of the shift",
        )
    ],
    mutants=[
        mutant("variance scaled once", variance=scale * sigma**2),
        mutant("shift scaled too", mean=scale * (mu + shift)),
        mutant("mean not scaled", mean=mu + shift),
    ],
    uses=[mgf],
    sources=["D2:43"],
    assumes=["a generating function that is finite near zero determines its law"],
)
affine

# %% [markdown]
# ## Products of densities
#
# The product of two Gaussian densities in the same variable is a constant times a third. Precisions add;
# the mean is weighted by precision, that is, by the *other* factor's variance. The constant is a Gaussian
# too: it says how well the two agree.

# %%
product_variance = sigma_1**2 * sigma_2**2 / (sigma_1**2 + sigma_2**2)
product_mean = (sigma_2**2 * mu_1 + sigma_1**2 * mu_2) / (sigma_1**2 + sigma_2**2)

products = claim(
    "gaussians.product",
    "Product of Gaussian densities",
    Law(
        r"\frac{\mathcal{N}(x;\, \mu_{1},\, \sigma_{1}^{2} I)\;"
        r" \mathcal{N}(x;\, \mu_{2},\, \sigma_{2}^{2} I)}"
        r"{\mathcal{N}(\mu_{1};\, \mu_{2},\, (\sigma_{1}^{2} + \sigma_{2}^{2}) I)}",
        x,
        product_mean,
        product_variance,
    ),
    proof=lambda mean, variance: [
        same_density(
            log_normal(x, mu_1, sigma_1**2) + log_normal(x, mu_2, sigma_2**2),
            log_normal(mu_1, mu_2, sigma_1**2 + sigma_2**2),
            log_normal(x, mean, variance),
            "product = constant times density",
        )
    ],
    mutants=[
        mutant(
            "each mean weighted by its own variance",
            mean=(sigma_1**2 * mu_1 + sigma_2**2 * mu_2) / (sigma_1**2 + sigma_2**2),
        ),
        mutant("variances added", variance=sigma_1**2 + sigma_2**2),
        mutant("precisions averaged", variance=2 * product_variance),
    ],
    uses=[density],
    sources=["D5:83"],
)
products


# %% [markdown]
# ## One noisy step after another
#
# If $x_s$ is Gaussian and $x_t$ is $a\,x_s$ plus independent Gaussian noise, then $x_t$ is Gaussian. The
# forward process is a chain of such steps. The proof integrates $x_s$ out of the joint density; it could as
# well add the two laws by the claims above.


# %%
def after_step(mean: Expr, variance: Expr, factor: Expr, noise_variance: Expr) -> tuple[Expr, Expr]:
    """Mean and variance of factor · x + noise, for x with the given mean and variance."""
    return factor * mean, factor**2 * variance + noise_variance


def integrating_out(mean: Expr, variance: Expr) -> list[Obligation]:
    joint = log_normal(x_t, scale * x_s, sigma_2**2) + log_normal(x_s, mu, sigma_1**2)
    integral = gaussian_integral(joint, x_s, "joint density")
    return [
        *integral.obligations,
        equal(integral.log_value, log_normal(x_t, mean, variance), "integral over the earlier state"),
    ]


chained_mean, chained_variance = after_step(mu, sigma_1**2, scale, sigma_2**2)

chain = claim(
    "gaussians.chain",
    "A Gaussian through a noisy step",
    Law(
        r"\int \mathcal{N}(x_{t};\, a x_{s},\, \sigma_{2}^{2} I)\;"
        r" \mathcal{N}(x_{s};\, \mu,\, \sigma_{1}^{2} I)\, dx_{s}",
        x_t,
        chained_mean,
        chained_variance,
    ),
    proof=integrating_out,
    mutants=[
        mutant("factor not squared", variance=scale * sigma_1**2 + sigma_2**2),
        mutant("earlier noise forgotten", variance=sigma_2**2),
        mutant("deviations added", variance=(scale * sigma_1 + sigma_2) ** 2),
        mutant("mean not scaled", mean=mu),
    ],
    uses=[density],
    sources=["D2:43"],
)
chain

# %% [markdown]
# ## What does not stay Gaussian
#
# Sums need independence, and products are products of densities. A Gaussian's fourth cumulant
# $\mathbb{E}\,y^4 - 3\, (\mathbb{E}\,y^2)^2$ vanishes. Take two standard normals: $z$, and $z$ with a random
# sign. Their sum is $2z$ or zero, with equal chances. And the product of two independent ones has the
# products of their moments.

# %%
dependent_sum = claim(
    "gaussians.dependent-sum",
    "Sums of dependent Gaussians need not be Gaussian",
    Equation(r"\mathbb{E}\,(z + sz)^{4} - 3 \left(\mathbb{E}\,(z + sz)^{2}\right)^{2}", Integer(12)),
    proof=lambda value: [equal(E((2 * z) ** 4) / 2 - 3 * (E((2 * z) ** 2) / 2) ** 2, value, "half of 2z")],
    mutants=[
        mutant("normal", value=Integer(0), seen="D5 line 83, which does not ask for independence"),
        mutant("the zeros forgotten", value=Integer(48)),
    ],
    uses=[moments],
    sources=["D5:83"],
    remark="Here s is a fair sign, independent of z: both z and sz are standard normal.",
)
dependent_sum

# %%
variables_product = claim(
    "gaussians.product-of-variables",
    "A product of Gaussian variables is not Gaussian",
    Equation(r"\mathbb{E}\,(z z')^{4} - 3 \left(\mathbb{E}\,(z z')^{2}\right)^{2}", Integer(6)),
    proof=lambda value: [equal(E(z**4) ** 2 - 3 * E(z**2) ** 4, value, "moments multiply")],
    mutants=[
        mutant("normal", value=Integer(0), seen="D5 line 83, if variables are multiplied"),
        mutant("fourth moment alone", value=Integer(9)),
    ],
    uses=[moments],
    sources=["D5:83"],
    assumes=["the mean of a product of independent factors is the product of their means"],
)
variables_product

# %% [markdown]
# ## Generating functions of any law
#
# That derivatives at zero of the generating function are the moments has nothing to do with Gaussians. For a
# law on one point $m$ it is the derivative of $e^{\ell m}$; the mean over a law is linear. Here are two
# points, $m_1$ with probability $\rho$ and $m_2$ otherwise.


# %%
def over_two_points(function: Callable[[Expr], Expr]) -> Expr:
    """The mean of a function of x, for x = m_1 with probability ρ and m_2 otherwise."""
    return rho * function(m_1) + (1 - rho) * function(m_2)


generating = over_two_points(lambda point: exp(argument * point))
generating

# %%
moment = claim(
    "gaussians.moment",
    "A moment is a derivative of the generating function",
    Equation(r"M_{2} = \mathbb{E}[x^{2}]", over_two_points(lambda point: point**2)),
    given=[rho < 1],
    proof=lambda value: [equal(diff(generating, argument, 2).subs(argument, 0), value, "second derivative")],
    mutants=[
        mutant(
            "the power put into the exponential",
            value=over_two_points(lambda point: exp(argument * point**2)),
            seen="D2 line 49, with n = 2",
        ),
        mutant("power of the mean", value=over_two_points(lambda point: point) ** 2),
        mutant("first moment", value=over_two_points(lambda point: point)),
    ],
    sources=["D2:49"],
    assumes=["SymPy's rules of differentiation"],
    remark=r"Written for $n = 2$ and a law on two points, $m_1$ with probability $\rho$ and $m_2$ otherwise.",
)
moment

# %%
expansion = claim(
    "gaussians.mgf-expansion",
    "The generating function, expanded",
    Equation(
        r"\mathbb{E}\, e^{\ell x} + O(\ell^{3})",
        1 + argument * over_two_points(lambda point: point) + argument**2 / 2 * moment.value,
    ),
    given=[rho < 1],
    proof=lambda value: [
        equal(
            diff(value, argument, n).subs(argument, 0),
            diff(generating, argument, n).subs(argument, 0),
            f"derivative {n} at zero",
        )
        for n in range(3)
    ],
    mutants=[
        mutant(
            "the exponential kept beside its own series",
            value=exp(argument) * generating,
            seen="D2 line 51, whose terms are e^{tx} t^n/n!",
        ),
        mutant(
            "factorial forgotten",
            value=1 + argument * over_two_points(lambda point: point) + argument**2 * moment.value,
        ),
        mutant(
            "powers of the mean for moments",
            value=1
            + argument * over_two_points(lambda point: point)
            + argument**2 / 2 * over_two_points(lambda point: point) ** 2,
        ),
    ],
    uses=[moment],
    sources=["D2:51"],
    assumes=["Taylor's theorem"],
    remark=r"In parentheses are $\mathbb{E}[x]$ and $\mathbb{E}[x^{2}]$, for $x = m_1$ with probability "
    r"$\rho$ and $m_2$ otherwise.",
)
expansion

# %% [markdown]
# That the generating function of a sum is the product needs independence. Without it, take the same variable
# twice:

# %%
twice = claim(
    "gaussians.mgf-twice",
    "The same variable added to itself",
    Equation(
        r"\log \mathbb{E}\, e^{\langle \lambda, x + x \rangle}", log_mgf(mu, sigma**2, at=2 * frequency)
    ),
    proof=lambda value: [
        *(
            integral := gaussian_integral(
                inner(2 * frequency, x) + density.value, x, "generating function of x + x"
            )
        ).obligations,
        equal(integral.log_value, value, "logarithm of the integral"),
    ],
    mutants=[
        mutant(
            "as if the two were independent",
            value=2 * log_mgf(mu, sigma**2),
            seen="D2 line 55, which does not ask for independence",
        ),
        mutant("one forgotten", value=log_mgf(mu, sigma**2)),
        mutant("mean doubled, variance not", value=log_mgf(2 * mu, sigma**2)),
    ],
    uses=[mgf],
    sources=["D2:55"],
)
twice
