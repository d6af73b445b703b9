import { allPaths, prove } from "../harness.ts";
import * as tables from "./matmul.ts";

prove(tables.linearTable, { paths: allPaths, types: ["f32", "f16"] });
prove(tables.convTable, { paths: allPaths, types: ["f32", "f16"] });
prove(tables.convTable, { paths: allPaths.slice(0, 1), types: ["f16 throughout"] });
prove(tables.fusedTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.largeLinearTable, { paths: allPaths.slice(0, 1) });
prove(tables.narrowConvTable, { types: ["f32"] });
