// Gating where neighbouring lanes own a vec4 of values and the vec4 of their gates: of two rows, the lane of the values makes
// the first and the lane of the gates the second, so that neither idles. Needs lib/gelu.wgsl.

// value · gelu(gate) of row `column4 % 2` of a column of two rows. Every lane of a subgroup calls it.
fn gatedRow(column4: u32, first: vec4f, second: vec4f) -> vec4f {
  let isGate = column4 % 2u == 1u;
  let taken = subgroupShuffleXor(select(second, first, isGate), 1u);
  return select(first, taken, isGate) * gelu(select(taken, second, isGate));
}
