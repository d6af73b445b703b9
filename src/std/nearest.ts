/** Which of several names somebody may have meant. */

/** `names` with the one first that the fewest changed letters make of `asked`. */
export function nearestFirst(asked: string, names: readonly string[]): string[] {
  const wanted = asked.toLowerCase().slice(0, 80);
  const distances = new Map(names.map((name) => [name, distance(wanted, name.toLowerCase())]));
  return names.toSorted((a, b) => distances.get(a)! - distances.get(b)!);
}

/** How many letters have to be put in, taken out or replaced to make one of the other (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + Number(a[i] !== b[j])));
    }
    row = next;
  }
  return row[b.length];
}
