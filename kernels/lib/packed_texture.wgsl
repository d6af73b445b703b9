// Where a repacked weight goes: a storage texture 1024 texels wide, as lib/weight_texture.wgsl reads it.
alias Weights = texture_storage_2d<rgba32float, write>;
alias Weight = f32; // as the texture holds it: rounded to here, because a driver may cut what it stores off instead
@group(0) @binding(1) var packedWeights: Weights;

fn storePacked(i: u32, value: vec4f) {
  textureStore(packedWeights, vec2u(i & 1023u, i >> 10u), vec4f(vec4<Weight>(value)));
}
