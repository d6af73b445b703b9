"""Writes published.json: what the published code of schedules and samplers without a trajectory of the reference gives, in float64.

    python tests/samplers/published.py > tests/samplers/published.json        (numpy, scipy)

Schedules are A1111's (modules/sd_schedulers.py, sd_samplers_kdiffusion.py) over the noise levels of SD 1.x, with k-diffusion's
DiscreteSchedule where they ask a model; samplers are k-diffusion's (sampling.py). Both are retold line by line, on numpy's
doubles in place of torch's tensors.
"""
import json
import math

import numpy as np
from scipy import stats

# DiscreteSchedule of k-diffusion (external.py). Training's sigmas are rounded to single precision, as models hold them.
betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
alphas_cumprod = np.cumprod(1 - betas)
model_sigmas = np.sqrt((1 - alphas_cumprod) / alphas_cumprod).astype(np.float32).astype(np.float64)
log_sigmas = np.log(model_sigmas)


def sigma_to_t(sigma):
    log_sigma = np.log(sigma)
    dists = log_sigma - log_sigmas
    low_idx = min(int(np.argmax(np.cumsum(dists >= 0))), len(log_sigmas) - 2)
    low, high = log_sigmas[low_idx], log_sigmas[low_idx + 1]
    w = min(max((low - log_sigma) / (low - high), 0), 1)
    return (1 - w) * low_idx + w * (low_idx + 1)


def t_to_sigma(t):
    low_idx, high_idx, w = math.floor(t), math.ceil(t), t - math.floor(t)
    return math.exp((1 - w) * log_sigmas[low_idx] + w * log_sigmas[high_idx])


def append_zero(values):
    return [float(v) for v in values] + [0.0]


# A1111's schedulers: (steps, smallest sigma, largest sigma) to sigmas.
def uniform(n, sigma_min, sigma_max):
    return append_zero(t_to_sigma(t) for t in np.linspace(len(model_sigmas) - 1, 0, n))


def normal(n, sigma_min, sigma_max):
    return append_zero(t_to_sigma(t) for t in np.linspace(sigma_to_t(sigma_max), sigma_to_t(sigma_min), n))


def karras(n, sigma_min, sigma_max, rho=7.0):
    ramp = np.linspace(0, 1, n)
    min_inv_rho = sigma_min ** (1 / rho)
    max_inv_rho = sigma_max ** (1 / rho)
    return append_zero((max_inv_rho + ramp * (min_inv_rho - max_inv_rho)) ** rho)


def exponential(n, sigma_min, sigma_max):
    return append_zero(np.exp(np.linspace(math.log(sigma_max), math.log(sigma_min), n)))


def polyexponential(n, sigma_min, sigma_max, rho=1.0):
    ramp = np.linspace(1, 0, n) ** rho
    return append_zero(np.exp(ramp * (math.log(sigma_max) - math.log(sigma_min)) + math.log(sigma_min)))


def sgm_uniform(n, sigma_min, sigma_max):
    start, end = sigma_to_t(sigma_max), sigma_to_t(sigma_min)
    return append_zero(t_to_sigma(t) for t in np.linspace(start, end, n + 1)[:-1])


def kl_optimal(n, sigma_min, sigma_max):
    alpha_min, alpha_max = np.arctan(sigma_min), np.arctan(sigma_max)
    step_indices = np.arange(n + 1)
    return [float(v) for v in np.tan(step_indices / n * alpha_min + (1.0 - step_indices / n) * alpha_max)]


def align_your_steps(n, sigma_min, sigma_max):
    sigmas = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
    if n == len(sigmas):
        return append_zero(sigmas)
    ys = np.log(sigmas[::-1])
    new_ys = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(sigmas)), ys)
    return append_zero(np.exp(new_ys)[::-1])


def simple(n, sigma_min, sigma_max):
    ss = len(model_sigmas) / n
    return append_zero(model_sigmas[-(1 + int(x * ss))] for x in range(n))


def ddim(n, sigma_min, sigma_max):
    sigs = []
    ss = max(len(model_sigmas) // n, 1)
    x = 1
    while x < len(model_sigmas):
        sigs.append(model_sigmas[x])
        x += ss
    return append_zero(sigs[::-1])


def beta(n, sigma_min, sigma_max):
    timesteps = [stats.beta.ppf(x, 0.6, 0.6) for x in 1 - np.linspace(0, 1, n)]
    return append_zero(sigma_min + x * (sigma_max - sigma_min) for x in timesteps)


SCHEDULERS = [uniform, karras, exponential, polyexponential, sgm_uniform, kl_optimal, align_your_steps, simple, normal, ddim, beta]


# k-diffusion's samplers, on a model that is not linear and draws that need no generator.
def denoise(x, sigma):
    return 0.8 * math.tanh(x / (1 + sigma)) + 0.1 * math.sin(3 * sigma)


class Noise:
    def __init__(self):
        self.k = 0

    def __call__(self):
        self.k += 1
        return math.sin(12.9898 * self.k) * 1.7


def get_ancestral_step(sigma_from, sigma_to, eta):
    if not eta:
        return sigma_to, 0.0
    sigma_up = min(sigma_to, eta * (sigma_to**2 * (sigma_from**2 - sigma_to**2) / sigma_from**2) ** 0.5)
    return (sigma_to**2 - sigma_up**2) ** 0.5, sigma_up


def dpmpp_2s_a(x, sigmas, eta):
    noise = Noise()
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        sigma_down, sigma_up = get_ancestral_step(sigmas[i], sigmas[i + 1], eta)
        if sigma_down == 0:
            d = (x - denoised) / sigmas[i]
            x = x + d * (sigma_down - sigmas[i])
        else:
            t, t_next = -math.log(sigmas[i]), -math.log(sigma_down)
            r = 1 / 2
            h = t_next - t
            s = t + r * h
            x_2 = (math.exp(-s) / math.exp(-t)) * x - math.expm1(-h * r) * denoised
            denoised_2 = denoise(x_2, math.exp(-s))
            x = (math.exp(-t_next) / math.exp(-t)) * x - math.expm1(-h) * denoised_2
        if sigmas[i + 1] > 0 and sigma_up > 0:
            x = x + noise() * sigma_up
    return x


def dpmpp_3m_sde(x, sigmas, eta):
    noise = Noise()
    denoised_1, denoised_2 = None, None
    h, h_1, h_2 = None, None, None
    for i in range(len(sigmas) - 1):
        denoised = denoise(x, sigmas[i])
        if sigmas[i + 1] == 0:
            x = denoised
        else:
            t, s = -math.log(sigmas[i]), -math.log(sigmas[i + 1])
            h = s - t
            h_eta = h * (eta + 1)
            x = math.exp(-h_eta) * x - math.expm1(-h_eta) * denoised
            if h_2 is not None:
                r0 = h_1 / h
                r1 = h_2 / h
                d1_0 = (denoised - denoised_1) / r0
                d1_1 = (denoised_1 - denoised_2) / r1
                d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
                d2 = (d1_0 - d1_1) / (r0 + r1)
                phi_2 = math.expm1(-h_eta) / h_eta + 1
                phi_3 = phi_2 / h_eta - 0.5
                x = x + phi_2 * d1 - phi_3 * d2
            elif h_1 is not None:
                r = h_1 / h
                d = (denoised - denoised_1) / r
                phi_2 = math.expm1(-h_eta) / h_eta + 1
                x = x + phi_2 * d
            if eta:
                x = x + noise() * sigmas[i + 1] * (-math.expm1(-2 * h * eta)) ** 0.5
        denoised_1, denoised_2 = denoised, denoised_1
        h_1, h_2 = h, h_1
    return x


STEPS = [1, 2, 5, 10, 11, 20, 30, 50]
sigma_min, sigma_max = model_sigmas[0], model_sigmas[-1]


def discard_next_to_last(sigmas):
    return sigmas[:-2] + sigmas[-1:]


def runs(sampler, discards):
    """Every step count with several schedules: [scheduler, steps, eta, end], from 2.5 of A1111's start."""
    for scheduler in (karras, exponential, sgm_uniform, kl_optimal):
        for n in STEPS:
            for eta in (0.0, 0.5, 1.0):
                sigmas = scheduler(n + 1 if discards else n, sigma_min, sigma_max)
                sigmas = discard_next_to_last(sigmas) if discards else sigmas
                yield [scheduler.__name__, n, eta, sampler(2.5 * sigmas[0], sigmas, eta)]


print(json.dumps({
    "model_sigmas": [model_sigmas[i] for i in (0, 1, 499, 998, 999)],
    "schedules": {s.__name__: {n: s(n, sigma_min, sigma_max) for n in STEPS} for s in SCHEDULERS},
    "samplers": {"dpmpp_2s_a": list(runs(dpmpp_2s_a, False)), "dpmpp_3m_sde": list(runs(dpmpp_3m_sde, True))},
}))
