import { prove, usualPaths } from "../harness.ts";
import * as tables from "./attention.ts";

prove(tables.attentionTable, { paths: usualPaths });
prove(tables.causalTable, { paths: usualPaths });
prove(tables.sharpTable, { paths: usualPaths });
prove(tables.oddHeadsTable, { paths: usualPaths });
prove(tables.wideTable, { paths: usualPaths, types: ["f32"] });
prove(tables.longestTable, { paths: usualPaths, types: ["f32"] });
