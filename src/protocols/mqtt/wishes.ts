/**
 * What a client of 5.0 may ask for by user properties of its CONNECT, so that nobody else's packets
 * are other than the specification has them: the position of each change, and a payload format.
 */
import { formatNamed, type PayloadFormat } from './payload-format.ts';

export interface Wishes {
  /** Each message says where in the log its change stands, as a user property. */
  readonly position: boolean;
  readonly format: PayloadFormat | undefined;
}

export const NO_WISHES: Wishes = { position: false, format: undefined };

/** The user property, of CONNECT to ask and of PUBLISH to tell. */
export const POSITION_PROPERTY = 'millrace-position';

type UserProperties = Readonly<Record<string, string | string[]>>;

/** Other properties, and values that are not known, are the client's own affair. */
export function wishesOf(properties: UserProperties | undefined): Wishes {
  if (properties === undefined) return NO_WISHES;
  const position = last(properties[POSITION_PROPERTY]);
  return {
    position: position === '1' || position === 'true',
    format: formatNamed(last(properties['content-type'])),
  };
}

const last = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : value?.at(-1);
