import { prove } from "../harness.ts";
import { resampleTable, rgbTable } from "./resample.ts";

prove(resampleTable, { types: ["f32"] });
prove(rgbTable, { types: ["f32"] });
