// x · Φ(x) with the error function of Abramowitz and Stegun 7.1.26, absolute error at most 1.5e-7.
fn gelu(x: vec4f) -> vec4f {
  let z = abs(x) * 0.70710678118654752;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * exp(-z * z);
  // erfc(z) / 2 is Φ(-|x|): used as it is for negative x, where 1 - erf would cancel.
  return x * select(0.5 * tail, 1.0 - 0.5 * tail, x > vec4f());
}
