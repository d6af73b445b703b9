import { prove } from "../harness.ts";
import { advanceTable, composeTable, scaleLatentsTable, startTable } from "./latents.ts";

prove(startTable, { types: ["f32", "f16 throughout"] });
prove(scaleLatentsTable, { types: ["f32", "f16"] });
prove(composeTable, { types: ["f32", "f16 throughout"] });
prove(advanceTable, { types: ["f32", "f16 throughout"] });
