/**
 * A step from sigma `from` to `to` that replaces some of the noise: down to a lower level, then fresh noise `up` to `to`.
 * `eta` is the share: 0 replaces none, 1 as much as the reverse diffusion does (k-diffusion, get_ancestral_step).
 */
export function ancestralStep(from: number, to: number, eta: number): { down: number; up: number } {
  const up = Math.min(to, eta * Math.sqrt(to ** 2 * (from ** 2 - to ** 2) / from ** 2));
  return { down: Math.sqrt(to ** 2 - up ** 2), up };
}
