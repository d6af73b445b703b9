/** All tables. */
import * as attention from "./attention.ts";
import * as bands from "./bands.ts";
import * as elementwise from "./elementwise.ts";
import * as embedding from "./embedding.ts";
import * as guide from "./guide.ts";
import * as latents from "./latents.ts";
import * as matmul from "./matmul.ts";
import * as merge from "./merge.ts";
import * as norm from "./norm.ts";
import * as pixels from "./pixels.ts";
import * as repack from "./repack.ts";
import * as resample from "./resample.ts";
import type { Table } from "../case.ts";

export const tables: readonly Table[] = [
  attention,
  bands,
  elementwise,
  embedding,
  guide,
  latents,
  matmul,
  merge,
  norm,
  pixels,
  repack,
  resample,
]
  .flatMap((file) => Object.values(file).filter((member): member is Table => "cases" in member));
