// Which vec4 column of a packed matmul weight a column of its stored one becomes.
const GATED = 0u; // 1: stored are all values' and then all gates' columns, packed a column of values before that of its gates

fn packedColumn(column4: u32) -> u32 {
  if (GATED == 0u) {
    return column4;
  }
  let half = shape.out4 / 2u;
  return column4 % half * 2u + column4 / half;
}
