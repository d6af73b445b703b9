/** PyTorch's own files: refused, with the command that makes safetensors of one. */
import { CheckpointError } from "./error.ts";

/** The ends of the names of files that are pickles. */
export const PICKLE = /\.(bin|ckpt|pt|pth|pkl)$/i;

const SCRIPT = "import sys, torch; from safetensors.torch import save_file; " +
  "d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); " +
  "save_file({k: v.clone().contiguous() for k, v in d.get('state_dict', d).items() if torch.is_tensor(v)}, sys.argv[2])";

/** The command, in one line for a shell, that writes the safetensors version of `path` beside it. */
export function convertCommand(path: string): string {
  const quoted = (text: string) => /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
  return `python -c "${SCRIPT}" ${quoted(path)} ${quoted(path.replace(PICKLE, "") + ".safetensors")}`;
}

/** What the pickle at `path` is, and what to do with it. */
export function describePickle(path: string): string {
  return "a PyTorch pickle, loading it could run any code that is inside; " +
    `get the model's safetensors files, or convert it where you trust it: ${convertCommand(path)}`;
}

/** The refusal of the pickle at `path`. */
export function pickleError(path: string): CheckpointError {
  return new CheckpointError(`Cannot load ${path}: it is ${describePickle(path)}`);
}
