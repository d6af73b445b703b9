// Where the tokens of a picture lie that are merged (Bolya and Hoffman 2023): the first of each whole window of 2×2 is a
// destination, all others are sources, both counted row by row.
struct Shape {
  images: u32,
  tokens: u32,    // of one image
  width: u32,     // tokens of a row
  windowRows: u32,
  windowColumns: u32,
  sources: u32,   // tokens that are no destination
  merged: u32,    // how many of them are merged
  channels4: u32,
}

// Sources in a row that has destinations, and in it and the row below.
fn sparseRow() -> u32 {
  return shape.width - shape.windowColumns;
}

fn destinationToken(destination: u32) -> u32 {
  return destination / shape.windowColumns * 2u * shape.width + destination % shape.windowColumns * 2u;
}

fn sourceToken(source: u32) -> u32 {
  let both = sparseRow() + shape.width;
  let pair = source / both;
  let place = source % both;
  if (pair >= shape.windowRows) { // an odd last row has no window
    return pair * 2u * shape.width + place;
  }
  if (place < sparseRow()) { // every second one, and the last of an odd width
    return pair * 2u * shape.width + min(place * 2u + 1u, shape.width - 1u);
  }
  return (pair * 2u + 1u) * shape.width + place - sparseRow();
}

// Rows of merged tokens: the sources that stay, then the destinations.
fn keptSources() -> u32 {
  return shape.sources - shape.merged;
}

fn keptTokens() -> u32 {
  return shape.tokens - shape.merged;
}
