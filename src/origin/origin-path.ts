/**
 * Where a record lives at its origin: fills a path template with percent-encoded values. A value is
 * one whole segment or a part of one, whatever it contains: a slash is encoded, and
 * a value that would make the segment `.` or `..` is refused, since URL parsers would climb.
 */
import type { RecordId } from '../base/brands.ts';
import { NodeError } from '../base/errors.ts';

/**
 * `base` with the filled `template` appended to its path. `{name}` stands for a value.
 * Throws `KEY_INVALID` for a value that cannot be part of a path, `CONFIG_INVALID` for a name that
 * is not known.
 */
export function originPath(
  base: URL,
  template: string,
  values: Readonly<Record<string, RecordId>>,
): URL {
  const prefix = base.pathname.replace(/\/$/, '');
  const [path = '', query] = fill(template.startsWith('/') ? template : `/${template}`, values);
  if (path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))) {
    throw invalidKey(values, 'would lead out of its place in the path');
  }
  const url = new URL(base);
  url.pathname = prefix + path;
  url.search = query ?? base.search;
  return url;
}

/** The filled path, and the filled query when the template has one. */
function fill(
  template: string,
  values: Readonly<Record<string, RecordId>>,
): readonly [string, string | undefined] {
  const filled = template.replace(/\{([^{}]*)\}/g, (_, name: string) => {
    const value = values[name];
    if (value !== undefined && Object.hasOwn(values, name)) return encode(value, values);
    const known = Object.keys(values).join(', ');
    const message = `the path "${template}" names {${name}}; known here: ${known}`;
    throw new NodeError('CONFIG_INVALID', message, { details: { template, name } });
  });
  const mark = filled.indexOf('?');
  return mark < 0 ? [filled, undefined] : [filled.slice(0, mark), filled.slice(mark)];
}

function encode(value: RecordId, values: Readonly<Record<string, RecordId>>): string {
  if (value === '') throw invalidKey(values, 'is empty');
  try {
    return encodeURIComponent(value);
  } catch {
    throw invalidKey(values, 'is not well-formed Unicode');
  }
}

function invalidKey(values: Readonly<Record<string, RecordId>>, why: string): NodeError {
  const id = values.id;
  return new NodeError('KEY_INVALID', `the key ${JSON.stringify(id)} ${why}`, {
    blame: 'client',
    details: { id },
  });
}
