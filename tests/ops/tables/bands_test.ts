import { prove } from "../harness.ts";
import * as tables from "./bands.ts";

prove(tables.bandWindowTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.bandNormTable, { types: ["f32", "f16", "f16 throughout"] });
prove(tables.inPartsTable, { types: ["f32", "f16"] });
prove(tables.joinBandsTable, { types: ["f32", "f16 throughout"] });
