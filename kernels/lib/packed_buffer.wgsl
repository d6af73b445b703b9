// Where a repacked weight goes: a storage buffer.
alias Weight = f32;
@group(0) @binding(1) var<storage, read_write> packedWeights: array<vec4<Weight>>;

fn storePacked(i: u32, value: vec4f) {
  packedWeights[i] = vec4<Weight>(value);
}
