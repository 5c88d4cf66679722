/** What the kinds share that have a live feed and nothing to fetch records from. */
import type { GetContext } from 'millrace';

/** What the feed did not bring is absent; what it brought can not be asked for again. */
export function nothingToFetch(name: string, { replacing }: GetContext): undefined {
  // Saying "absent" would remove a record that the feed brought.
  if (replacing === undefined) return undefined;
  throw new Error(`origin ${name} has a feed only: there is nothing to fetch`);
}

/** Text as the JSON it is, or else itself. */
export function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
