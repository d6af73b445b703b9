// What all attention kernels share: y = softmax(q · kᵀ · scale) · v for each head, without storing the scores
// (Dao et al. 2022): keys come in blocks, and sums so far are rescaled whenever a block raises the maximum.
alias Scalar = f32;
const CAUSAL = 0u; // 1: a query sees keys up to its own place

struct Shape { queries: u32, keys: u32, heads: u32, size4: u32, scale: f32 } // size4: vec4s of one head

@group(0) @binding(3) var<storage, read_write> y: array<vec4<Scalar>>; // [image, query, head, size4]
@group(0) @binding(4) var<uniform> shape: Shape;

// Far below any score, yet finite: fast math assumes there is no infinity.
const LOWEST = -1e30;

// Where the head of a query or key begins; rows past the end are read as the last one.
fn headOf(image: u32, row: u32, rows: u32, head: u32) -> u32 {
  return ((image * rows + min(row, rows - 1u)) * shape.heads + head) * shape.size4;
}

fn isHidden(query: u32, key: u32) -> bool {
  return key >= shape.keys || (CAUSAL == 1u && key > query);
}
