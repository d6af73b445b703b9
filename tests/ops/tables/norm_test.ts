import { prove, usualPaths } from "../harness.ts";
import * as tables from "./norm.ts";

prove(tables.groupNormTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.loneGroupNormTable);
prove(tables.farGroupNormTable);
prove(tables.groupNormSiluTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.layerNormTable, { paths: usualPaths, types: ["f32", "f16", "f16 throughout"] });
