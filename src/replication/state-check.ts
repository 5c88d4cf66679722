/**
 * Whether what another node calls the state of a row is one (`cache/row-state.ts`): merged without
 * this look, a stamp that is no number or a sum that is none would stay in the table for ever.
 */
import { BOUNDS } from './bounds.ts';
import {
  anyOf,
  bytes,
  digest,
  exactly,
  type FieldCheck,
  finite,
  flag,
  instant,
  listOf,
  mapOf,
  natural,
  optional,
  shape,
  text,
  version,
} from './field-check.ts';

const stamp = { version, author: version };
const name = text(BOUNDS.nameChars);
const file = { length: natural, digest };

const times = shape({
  ...stamp,
  ...{ storedAt: instant, freshUntil: instant, staleWhileRevalidateUntil: instant },
  ...{ staleIfErrorUntil: instant, evictAt: instant },
});

const counter = shape({
  from: finite,
  sums: mapOf(shape({ sum: finite, version }), BOUNDS.cursors),
});

const touched = shape({
  place: optional(natural),
  set: optional(shape({ ...stamp, isRemoved: optional(flag) })),
  counter: optional(counter),
});

const content = shape({
  status: optional(natural),
  contentType: optional(name),
  lastModified: optional(instant),
  groups: optional(listOf(text(BOUNDS.keyChars), BOUNDS.groups)),
  publication: optional(bytes),
});

const checked = shape({
  base: optional(shape({ ...stamp, kind: exactly('put', 'delete') })),
  revived: optional(shape(stamp)),
  times: optional(times),
  content: optional(content),
  body: optional(anyOf(bytes, shape(file))),
  touched: optional(mapOf(touched, BOUNDS.attributes)),
  blobs: optional(
    mapOf(shape({ ...file, contentType: name, entityTag: text(128) }), BOUNDS.attributes),
  ),
});

/** A state that says nothing of its own makes no row. */
export const rowState: FieldCheck = (value) => {
  const problem = checked(value);
  if (problem !== undefined) return problem;
  const { base, revived, touched: patches, body } = value as Readonly<Record<string, unknown>>;
  if (base == null && revived == null && patches == null) return 'says nothing';
  const isPut = (base as { readonly kind?: unknown } | null | undefined)?.kind === 'put';
  return isPut && body == null ? 'is of a put without a body' : undefined;
};
