/** A file or folder of weights that cannot be used, as one sentence: which, why, and what would do. */
export class CheckpointError extends Error {
  override name = "CheckpointError";
}

/** Text from a file as an error message shows it: quoted, escaped where it would not show, and cut where absurdly long. */
export function quote(text: string): string {
  const cut = text.length > 200 ? text.slice(0, 200) + "…" : text;
  return JSON.stringify(cut).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (hidden) => `\\u{${hidden.codePointAt(0)!.toString(16)}}`,
  );
}
