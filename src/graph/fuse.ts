/**
 * Peephole rules over a recorded graph. Each folds an element-wise dispatch into the one that made its input, where
 * nothing else reads the value between them; the fused dispatch stands where the second one stood.
 */
import { type Dispatch, type Graph, type Operand, type Storage, Value } from "./graph.ts";

/** How the later dispatch folds into the earlier one, or undefined where it does not. */
type Rule = (made: Dispatch, by: Dispatch, input: string) => Dispatch | undefined;

const rules: Rule[] = [normSilu, matmulAdd, matmulShift];

/** group_norm then silu → group_norm with SILU. */
function normSilu(made: Dispatch, by: Dispatch): Dispatch | undefined {
  if (made.kernel.name !== "group_norm" || by.kernel.name !== "unary" || by.constants.FUNCTION !== 0) return;
  return { ...made, constants: { ...made.constants, SILU: 1 }, operands: { ...made.operands, y: by.operands.y } };
}

/** Whether a dispatch adds a shift and a residual to what it sums: matmuls and convolutions of every kind, unless gated. */
function adds({ operands, constants }: Dispatch): boolean {
  return "shift" in operands && "residual" in operands && constants.GATED !== 1;
}

/** matmul then add of a value of the same shape → matmul with RESIDUAL. */
function matmulAdd(made: Dispatch, by: Dispatch, input: string): Dispatch | undefined {
  if (!adds(made) || by.kernel.name !== "add" || made.operands.residual) return;
  const residual = by.operands[input === "a" ? "b" : "a"];
  if (residual === by.operands[input] || !(residual instanceof Value)) return;
  // What reads from textures stores halves by eights, and is not given an odd number of vec4s: see ops/matmul.ts.
  if (made.textures.length > 0 && by.constants.Output === "f16" && made.shape.out4 % 2) return;
  const constants = { ...made.constants, Output: by.constants.Output, RESIDUAL: 1, Residual: residual.dtype };
  return { ...made, constants, operands: { ...made.operands, residual, y: by.operands.y } };
}

/** matmul then add of one row an image → matmul with SHIFT. */
function matmulShift(made: Dispatch, by: Dispatch, input: string): Dispatch | undefined {
  if (!adds(made) || by.kernel.name !== "add_row" || input !== "x") return;
  if (made.operands.shift || made.operands.residual) return; // the shift comes before the residual
  const constants = { ...made.constants, SHIFT: 1, Shift: by.constants.Row };
  const operands = { ...made.operands, shift: by.operands.row, y: by.operands.y };
  return { ...made, constants, operands, shape: { ...made.shape, shiftRows: by.shape.rowsPerImage } };
}

/** Rewrites `graph.dispatches` until no rule applies; ops of several kernels then become their dispatches. */
export function fuse(graph: Graph): void {
  const reads = new Map<Storage, number>();
  const madeBy = new Map<Storage, Dispatch>();
  for (const dispatch of graph.dispatches) {
    for (const [name, operand] of Object.entries(dispatch.operands)) {
      if (operand instanceof Value && name !== dispatch.writes) {
        reads.set(operand.storage, (reads.get(operand.storage) ?? 0) + 1);
      }
    }
  }
  const fused: (Dispatch | undefined)[] = [];
  for (let dispatch of graph.dispatches) {
    for (const [name, operand] of Object.entries(dispatch.operands)) {
      if (!(operand instanceof Value) || name === dispatch.writes || !isPrivate(operand, reads)) continue;
      const made = madeBy.get(operand.storage);
      const folded = made && rules.map((rule) => rule(made, dispatch, name)).find((result) => result);
      if (!folded) continue;
      fused[fused.indexOf(made)] = undefined;
      dispatch = folded;
      break;
    }
    fused.push(dispatch);
    const output: Operand = dispatch.operands[dispatch.writes];
    if (output instanceof Value) madeBy.set(output.storage, dispatch);
  }
  graph.dispatches.length = 0;
  for (const dispatch of fused) {
    if (!dispatch) continue;
    for (const each of dispatch.expand?.(dispatch) ?? [dispatch]) graph.dispatches.push(each);
  }
}

/** Whether exactly one dispatch reads the value and the host never does. */
function isPrivate(value: Value, reads: ReadonlyMap<Storage, number>): boolean {
  return value.storage.name === undefined && reads.get(value.storage) === 1;
}
