/** Flags of `deno task generate` for the ways to make a picture beside a prompt. */
import type { FieldName } from "../engine/request.ts";

/** Fields of a request that are flags, in the order of the help. */
export const taskFlags = [
  "n",
  "n_iter",
  "strength",
  "resize_mode",
  "mask_blur",
  "inpainting_fill",
  "inpaint_full_res",
  "inpaint_full_res_padding",
  "inpainting_mask_invert",
  "soft_mask",
  "outpaint_left",
  "outpaint_right",
  "outpaint_top",
  "outpaint_bottom",
  "enable_hr",
  "hr_scale",
  "hr_resize_x",
  "hr_resize_y",
  "hr_upscaler",
  "hr_second_pass_steps",
  "hr_sampler_name",
  "hr_scheduler",
  "tiling",
  "token_merging_ratio",
  "guidance_rescale",
  "cfg_start",
  "cfg_end",
  "dynamic_threshold",
  "dynamic_threshold_percentile",
  "step_cache",
] as const satisfies FieldName[];

/** What the help says of them. */
export const taskHelp = `  --n N, --n-iter N        pictures made together, and how often: picture i has the seed plus i
  --init-image FILE        PNG, JPEG or WebP to start from, with --strength above 0 to 1
  --resize-mode N          0 stretches it, 1 crops it, 2 fills its edges, 3 resizes latents
  --mask FILE              PNG, JPEG or WebP, white where --init-image is repainted; --mask-blur PIXELS
  --inpainting-fill N      starts there from 0 the colours around, 1 the picture, 2 noise, 3 nothing
  --inpaint-full-res true  makes that part alone, with --inpaint-full-res-padding PIXELS around it
  --inpainting-mask-invert true, --soft-mask true   repaints what is black; mixes by the mask's levels
  --outpaint-left, --outpaint-right, --outpaint-top, --outpaint-bottom PIXELS   of the size, to be painted
  --enable-hr true         a second pass, enlarged by --hr-scale or to --hr-resize-x, --hr-resize-y, with
                           --hr-upscaler, --hr-second-pass-steps, --hr-sampler-name, --hr-scheduler
  --tiling true            opposite edges join
  --token-merging-ratio N  0 to 0.75 of self-attention's tokens merged with similar ones: less work, another picture
  --guidance-rescale, --cfg-start, --cfg-end N   0 to 1: see the README
  --dynamic-threshold N, --dynamic-threshold-percentile N
  --step-cache N           runs the whole U-Net every N calls alone, 1 to 10: faster, and another picture`;
