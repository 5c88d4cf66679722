/**
 * A frame between nodes as bytes: one MessagePack map. What comes in is walked before it is
 * decoded: neither its lengths, its nesting nor the number of its values can cost more than the
 * limits say, and no extension of the library is reachable. What a frame means is not judged here.
 */
import { Packr } from 'msgpackr';
import { NodeError } from '../../base/errors.ts';
import { LIMITS } from '../../config/limits.ts';
import { walkMsgpack } from '../http/msgpack.ts';

export type PlainFrame = Readonly<Record<string, unknown>>;

/** Of a frame itself: values of deleted records stand within it as they are. */
const OWN_DEPTH_MAX = 16;
const FRAME_VALUES_MAX = 500_000;

/** A field that is `undefined` is absent. (The library's types do not know this option.) */
const options = { useRecords: false, mapsAsObjects: true, skipValues: [undefined] };
const codec = new Packr(options);

export const encodeFrame = (frame: PlainFrame): Buffer => codec.pack(frame);

/** Throws `PEER_INVALID`. */
export function decodeFrame(bytes: Uint8Array): PlainFrame {
  const value = decoded(bytes);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as PlainFrame;
  }
  throw new NodeError('PEER_INVALID', 'a frame between nodes must be a map', { blame: 'peer' });
}

function decoded(bytes: Uint8Array): unknown {
  const depthMax = LIMITS.jsonDepthMax + OWN_DEPTH_MAX;
  try {
    walkMsgpack(bytes, { depthMax, valuesMax: FRAME_VALUES_MAX });
    return codec.unpack(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `a frame between nodes cannot be read: ${why}`;
    throw new NodeError('PEER_INVALID', message, { blame: 'peer', cause });
  }
}
