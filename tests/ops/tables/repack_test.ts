import { prove, usualPaths } from "../harness.ts";
import { piecesTable, storedTable } from "./repack.ts";

prove(storedTable, { paths: usualPaths });
prove(piecesTable, { paths: usualPaths, types: ["f32"] });
