import { device, prove, usualPaths } from "../harness.ts";
import { embeddingTable, largeTable, piecesTable, vectorsTable } from "./embedding.ts";

prove(embeddingTable, { paths: usualPaths, types: ["f32", "f16", "f16 throughout"] });
prove(vectorsTable, { paths: usualPaths, types: ["f32", "f16", "f16 throughout"] });
prove(piecesTable, { paths: usualPaths, types: ["f32"] });
// A GPU takes it from a buffer, a software driver from a texture.
prove(largeTable, { paths: usualPaths.filter(({ weights }) => weights === device.weightStorage), types: ["f32"] });
