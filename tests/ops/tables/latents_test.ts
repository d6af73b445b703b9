import { prove } from "../harness.ts";
import { advanceTable, scaleLatentsTable, startTable } from "./latents.ts";

prove(startTable, { types: ["f32", "f16 throughout"] });
prove(scaleLatentsTable, { types: ["f32", "f16"] });
prove(advanceTable, { types: ["f32", "f16 throughout"] });
