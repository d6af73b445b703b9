import { allPaths, prove, usualPaths } from "../harness.ts";
import * as tables from "./matmul.ts";

prove(tables.linearTable, { paths: allPaths, types: ["f32"] });
prove(tables.linearTable, { paths: usualPaths, types: ["f16"] });
prove(tables.convTable, { paths: usualPaths });
prove(tables.convTable, { types: ["f16 throughout"] });
prove(tables.fusedTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.largeLinearTable);
prove(tables.gatedTable, { paths: allPaths });
prove(tables.largeGatedTable);
prove(tables.narrowConvTable, { types: ["f32"] });
prove(tables.winogradTable, { types: ["f16", "f16 throughout"] });
prove(tables.fusedWinogradTable, { types: ["f16", "f16 throughout"] });
