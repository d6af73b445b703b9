import { prove } from "../harness.ts";
import { blendTable, guideTable } from "./guide.ts";

prove(guideTable, { types: ["f32", "f16 throughout"] });
prove(blendTable, { types: ["f32"] });
