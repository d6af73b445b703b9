/** Flags of the fields that say how prompts are read and seeds are varied, in the server's words with hyphens. */

/** The flags, each with a value. */
export const textFlags = [
  "prompt_syntax",
  "emphasis",
  "clip_skip",
  "subseed",
  "subseed_strength",
  "seed_resize_from_w",
  "seed_resize_from_h",
  "eta_noise_seed_delta",
] as const;

export const textHelp =
  `  --prompt-syntax NAME     a1111 reads weights, schedules, AND and BREAK; plain reads 77 tokens as they are
  --emphasis NAME          what weights do: original, no_norm, ignore or none
  --clip-skip N            layer of the text encoder that is read, from its end
  --subseed N              seed of a variation, with --subseed-strength above 0 to 1
  --seed-resize-from-w, --seed-resize-from-h N   size of the picture whose noise is kept
  --eta-noise-seed-delta N added to the seed for noise after the start's`;
