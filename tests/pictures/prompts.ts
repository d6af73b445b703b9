/** The scenes that the whole engine is asked to draw: no two share colour and shape, every background differs. */
import type { Scene } from "./check.ts";

export const scenes: readonly Scene[] = [
  { colour: "red", shape: "circle", background: "blue" },
  { colour: "yellow", shape: "star", background: "black" },
  { colour: "pink", shape: "heart", background: "white" },
  { colour: "green", shape: "triangle", background: "orange" },
  { colour: "cyan", shape: "ring", background: "purple" },
  { colour: "brown", shape: "square", background: "cyan" },
  { colour: "purple", shape: "cross", background: "yellow" },
  { colour: "orange", shape: "diamond", background: "gray" },
  { colour: "blue", shape: "hexagon", background: "pink" },
  { colour: "white", shape: "crescent", background: "green" },
  { colour: "black", shape: "heart", background: "red" },
  { colour: "gray", shape: "cross", background: "brown" },
];
