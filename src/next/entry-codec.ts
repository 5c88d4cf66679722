/**
 * Entries of Next.js as bytes: JSON, with what JSON cannot say (buffers, and maps) taken out of it
 * and told by its place.
 *
 *   "MRN1"  length of the JSON (4 bytes)  JSON {value, places}  blob  blob …
 *
 * What cannot be read is `undefined`: an entry in another version of this form is a miss, no fault.
 */

const MAGIC = Buffer.from('MRN1');
const HEAD_BYTES = 8;

/** Where something stands that JSON cannot hold; a blob by its place behind the JSON. */
interface Place {
  readonly path: readonly (string | number)[];
  readonly blob?: readonly [offset: number, length: number];
}

export function encodeEntry(entry: object): Buffer {
  const places: Place[] = [];
  const blobs: Uint8Array[] = [];
  let offset = 0;
  const plain = (value: unknown, path: Place['path']): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (value instanceof Uint8Array) {
      places.push({ path, blob: [offset, value.byteLength] });
      blobs.push(value);
      offset += value.byteLength;
      return null;
    }
    if (value instanceof Map) {
      places.push({ path });
      return plain([...value], path);
    }
    if (Array.isArray(value)) return value.map((one, index) => plain(one, [...path, index]));
    if ('toJSON' in value) return value;
    const pairs = Object.entries(value).map(([key, one]) => [key, plain(one, [...path, key])]);
    return Object.fromEntries(pairs);
  };
  const json = Buffer.from(JSON.stringify({ value: plain(entry, ['value']), places }));
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32BE(json.length, MAGIC.length);
  return Buffer.concat([head, json, ...blobs]);
}

export function decodeEntry(bytes: Buffer): unknown {
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const end = HEAD_BYTES + bytes.readUInt32BE(MAGIC.length);
  if (end > bytes.length) return undefined;
  try {
    const root = JSON.parse(bytes.toString('utf8', HEAD_BYTES, end)) as { places: Place[] };
    const blobs = bytes.subarray(end);
    // What lies in a map was told after the map: it is put in its place before.
    for (const place of root.places.reverse()) restore(root, place, blobs);
    return (root as { value?: unknown }).value;
  } catch {
    return undefined;
  }
}

function restore(root: object, { path, blob }: Place, blobs: Buffer): void {
  const holder = path.slice(0, -1).reduce((at: unknown, key) => (at as Held)[key], root) as Held;
  const key = path[path.length - 1] as string;
  if (blob === undefined) {
    holder[key] = new Map(holder[key] as [unknown, unknown][]);
    return;
  }
  const [offset, length] = blob;
  if (offset + length > blobs.length) throw new RangeError('a blob lies outside of the entry');
  // A copy of its own, so that a small blob does not hold the whole entry.
  holder[key] = Buffer.from(blobs.subarray(offset, offset + length));
}

type Held = Record<string | number, unknown>;
