/** Who takes part in the full-size benchmark: this engine and its peers, all asked for the same. */

/** What of a picture's way is timed. Text is two prompts, a step is both halves of guidance in one batch. */
export const stages = ["text", "step", "decode", "encode"] as const;
export type Stage = typeof stages[number];

/** Milliseconds by stage; a contestant may leave some out. */
export type Round = Partial<Record<Stage, number>>;

export interface Contestant {
  /** With versions, and what it runs on. */
  readonly name: string;
  /** Whether its first round is slower and not to be counted. */
  readonly warmsUp: boolean;
  /** One run of the wanted stages at `side` × `side` pixels. */
  round(side: number, wanted: readonly Stage[]): Promise<Round>;
  /** Milliseconds to bring the weights from a warm page cache to where they are computed with. */
  load(): Promise<number>;
  close(): void | Promise<void>;
}

/** Times of every contestant by stage, one for each counted round: A B C A B C, so that all see the same weather. */
export async function compete(
  contestants: readonly Contestant[],
  { side, runs, wanted }: { side: number; runs: number; wanted: readonly Stage[] },
): Promise<{ times: Map<Contestant, Record<Stage, number[]>>; first: Map<Contestant, Round> }> {
  const times = new Map(contestants.map((each) => [each, { text: [], step: [], decode: [], encode: [] }])) as Map<
    Contestant,
    Record<Stage, number[]>
  >;
  const first = new Map<Contestant, Round>();
  for (let run = -1; run < runs; run++) {
    for (const each of contestants) {
      if (run < 0 && !each.warmsUp) continue;
      const round = await each.round(side, wanted);
      if (run < 0) first.set(each, round);
      else for (const stage of stages) if (round[stage] !== undefined) times.get(each)![stage].push(round[stage]);
    }
  }
  return { times, first };
}
