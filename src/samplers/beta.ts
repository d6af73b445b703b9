/** The beta distribution's quantiles, for schedules that spread sigmas by them. */

/** Halvings of [0, 1] until neighbouring doubles are told apart. */
const halvings = 64;

/** x in [0, 1] with I(x; a, b) = p, the regularised incomplete beta function: by bisection. */
export function betaQuantile(p: number, a: number, b: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  let [low, high] = [0, 1];
  for (let i = 0; i < halvings; i++) {
    const middle = (low + high) / 2;
    if (betaDistribution(middle, a, b) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** I(x; a, b), by its continued fraction (Abramowitz and Stegun, 26.5.8) on the side where that converges fast. */
export function betaDistribution(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - betaDistribution(1 - x, b, a);
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b));
  return front / a * continuedFraction(x, a, b);
}

/** 1 / (1 + d₁ / (1 + d₂ / (1 + …))), from the back: 60 terms are exact to the last bit for small a and b. */
function continuedFraction(x: number, a: number, b: number): number {
  let value = 1;
  for (let n = 60; n > 0; n--) {
    const m = Math.floor(n / 2);
    const d = n % 2 === 0 ? m * (b - m) : -(a + m) * (a + b + m);
    value = 1 + d * x / ((a + n - 1) * (a + n)) / value;
  }
  return 1 / value;
}

/** ln Γ(x) for x > 0: Lanczos's approximation with g = 7. */
function logGamma(x: number): number {
  const coefficients = [
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
  ];
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const sum = coefficients.reduce((sum, coefficient, i) => i === 0 ? coefficient : sum + coefficient / (x - 1 + i));
  const t = x + 6.5;
  return Math.log(2 * Math.PI) / 2 + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}
