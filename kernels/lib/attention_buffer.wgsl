// What attention reads, from storage buffers.
@group(0) @binding(0) var<storage, read> q: array<vec4<Scalar>>;       // [image, query, head, size4]
@group(0) @binding(1) var<storage, read> k: array<vec4<Scalar>>;       // [image, key, head, size4]
@group(0) @binding(2) var<storage, read> v: array<vec4<Scalar>>;       // [image, key, head, size4]
