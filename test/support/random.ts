/** Random numbers from a seed: the same plan for the same seed. */
export type Random = (below: number) => number;

export function seededRandom(seed: number): Random {
  let state = (seed * 2_654_435_761 + 1) | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
