import { prove } from "../harness.ts";
import * as tables from "./elementwise.ts";

prove(tables.siluTable);
prove(tables.quickGeluTable);
prove(tables.geluTable);
prove(tables.addTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.addRowTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.scaleTable);
prove(tables.concatTable, { types: ["f32", "f16 throughout"] });
