/**
 * Randomness that can be repeated: a generator from a text seed. Two origins started with the same
 * seed fly the same flights, which makes a screenshot or a test reproducible.
 */

/** A function that returns numbers in [0, 1), always the same ones for the same text (mulberry32). */
export function randomFrom(text) {
  let state = 2166136261;
  for (const character of text) {
    state = Math.imul(state ^ character.codePointAt(0), 16777619);
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export const pick = (random, list) => list[Math.floor(random() * list.length)];
