import { prove } from "../harness.ts";
import { embeddingTable, piecesTable, vectorsTable } from "./embedding.ts";

prove(embeddingTable, { types: ["f32", "f16", "f16 throughout"] });
prove(vectorsTable, { types: ["f32", "f16", "f16 throughout"] });
prove(piecesTable, { types: ["f32"] });
