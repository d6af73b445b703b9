// Numbers as a checkpoint stores them, read from u32 words so that no device feature is needed.
const STORED = 0u; // 0 f32, 1 f16, 2 bf16
@group(0) @binding(0) var<storage, read> words: array<u32>;

fn stored(i: u32) -> f32 {
  if (STORED == 0u) {
    return bitcast<f32>(words[i]);
  }
  let word = words[i / 2u];
  if (STORED == 1u) {
    let pair = unpack2x16float(word);
    return select(pair.x, pair.y, i % 2u == 1u);
  }
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, i % 2u == 1u));
}
