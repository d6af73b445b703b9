/** Prompts made of several, `a cat AND a dog :0.5`: Liu et al. (2022), Compositional Visual Generation. */
import { SPACE, trimEnd, wholeWord } from "./text.ts";

/** One of the prompts that make up a picture, and how much its guidance counts. */
export interface ComposedPrompt {
  text: string;
  weight: number;
}

const weighted = new RegExp(`:[${SPACE}]*([+-]?(?:\\d+\\.?|\\d*\\.\\d+))$`);

/**
 * The prompts between the words AND, each with the number behind its last colon as its weight, 1 where there is none. At
 * least one; never throws.
 * @example composedPromptsOf("a cat AND a dog :0.5") // [{ text: "a cat", weight: 1 }, { text: " a dog", weight: 0.5 }]
 */
export function composedPromptsOf(prompt: string): ComposedPrompt[] {
  return prompt.split(wholeWord("AND")).map((part) => {
    const text = trimEnd(part), found = weighted.exec(text);
    return found ? { text: trimEnd(text.slice(0, found.index)), weight: Number(found[1]) } : { text, weight: 1 };
  });
}
