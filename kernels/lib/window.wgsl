// Where a convolution reads its picture. Needs a Shape that says how large the picture is.
const WRAP = 0u;     // 1: beyond an edge lies the opposite one, not zeros
const ENLARGED = 0u; // 1: the picture convolved is larger than the stored one

// Where a window begins, worked out once for all taps: divisions are what a tap would spend.
struct Window {
  rows: u32, // image · inHeight, or OUTSIDE for rows past the end
  y: u32,    // of its first tap in the full picture; negative coordinates wrap to huge ones
  x: u32,
}

const OUTSIDE = 0xffffffffu;

// Where the input pixel of a window at a tap begins in x, in vec4s, or OUTSIDE where it lies in the padding.
fn inputPixel(window: Window, tapY: u32, tapX: u32) -> u32 {
  var y = window.y + tapY;
  var x = window.x + tapX;
  if (WRAP == 1u) {
    y = (y + shape.padding * shape.fullHeight) % shape.fullHeight;
    x = (x + shape.padding * shape.fullWidth) % shape.fullWidth;
  }
  // One comparison finds both borders.
  if (window.rows == OUTSIDE || y >= shape.fullHeight || x >= shape.fullWidth) {
    return OUTSIDE;
  }
  if (ENLARGED == 1u) {
    y = y * shape.inHeight / shape.fullHeight;
    x = x * shape.inWidth / shape.fullWidth;
  }
  return ((window.rows + y) * shape.inWidth + x) * shape.in4;
}
