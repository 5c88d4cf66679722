/**
 * Finds what a misspelt name was probably meant to be: the known name at the smallest edit
 * distance (Levenshtein, without regard to case), if that is close enough to be a slip.
 */

/** The name among `known` which `written` is most likely a slip of, if any is near. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const word = written.slice(0, 64).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.ceil(word.length / 3)) + 1;
  for (const name of known) {
    const candidate = name.toLowerCase();
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const distance = editDistance(word, candidate);
    // Two words that share no letter are not slips of one another, however short they are.
    if (distance >= bestDistance || distance >= Math.max(word.length, candidate.length)) continue;
    best = name;
    bestDistance = distance;
  }
  return best;
}

/** `did you mean "x"?`, or the whole choice when nothing is near and it is short. */
export function suggest(written: string, known: Iterable<string>, prefix = ''): string | undefined {
  const names = [...known];
  const name = nearest(written, names);
  if (name !== undefined) return `did you mean ${prefix}${name}?`;
  if (names.length === 0 || names.length > 20) return undefined;
  return `write one of ${names.map((each) => prefix + each).join(', ')}`;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substitution = a[row - 1] === b[column - 1] ? 0 : 1;
      current.push(
        Math.min(
          (previous[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (previous[column - 1] ?? 0) + substitution,
        ),
      );
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
