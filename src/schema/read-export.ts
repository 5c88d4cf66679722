/**
 * `@export`: under which path a table can be reached, by which protocols, and what a client without
 * credentials may do. Nothing is exported by default, and nothing is public by default.
 */
import { type ExportProtocol, type TableDefinition, VERBS, type Verb } from './definition.ts';
import type { ReadDirective } from './directives.ts';
import { suggest } from './nearest.ts';
import type { ProblemList } from './problem.ts';

const PROTOCOLS: readonly ExportProtocol[] = ['rest', 'websocket', 'sse', 'mqtt'];
/** First segments which the app port keeps for itself. */
const RESERVED: ReadonlySet<string> = new Set(['live', 'openapi']);

export function readExport(
  directive: ReadDirective | undefined,
  typeName: string,
  attributeless: boolean,
  problems: ProblemList,
): TableDefinition['export'] {
  if (directive === undefined) return undefined;
  return {
    name: readExportName(directive, typeName, attributeless, problems),
    public: new Set(readWords<Verb>(directive, 'public', VERBS, problems) ?? []),
    protocols: readProtocols(directive, problems),
  };
}

function readExportName(
  directive: ReadDirective,
  typeName: string,
  attributeless: boolean,
  problems: ProblemList,
): string {
  const written = directive.values.name;
  if (typeof written !== 'string') return typeName;
  const place = directive.placeOf('name');
  if (written === '*') {
    if (!attributeless) {
      problems.add(place, 'a table with attributes cannot take every topic', {
        cause: 'messages to topics that no table claims need not be records',
        cure: 'declare the type without attributes and braces',
      });
    }
    return written;
  }
  const name = written.replace(/^\/+|\/+$/g, '');
  const segments = name.split('/');
  const broken = segments.some((each) => each === '' || each === '.' || each === '..');
  if (broken || !/^[\x20-\x7e]+$/.test(name) || /[`?#%+*\\]/.test(name)) {
    problems.add(place, `export name ${JSON.stringify(written)} cannot be a path`, {
      cure: 'use letters, digits, - and _, with / between segments',
    });
  } else if (RESERVED.has(segments[0] ?? '')) {
    problems.add(place, `/${segments[0]} is a path of the node itself`, {
      cure: 'use another name',
    });
  }
  return name;
}

function readProtocols(
  directive: ReadDirective,
  problems: ProblemList,
): ReadonlySet<ExportProtocol> {
  const listed = readWords<ExportProtocol>(directive, 'protocols', PROTOCOLS, problems);
  const protocols = new Set(listed ?? PROTOCOLS);
  const { values } = directive;
  for (const protocol of PROTOCOLS) {
    const on = protocol === 'websocket' ? (values.websocket ?? values.ws) : values[protocol];
    if (on === false) protocols.delete(protocol);
    if (on === true) protocols.add(protocol);
  }
  return protocols;
}

function readWords<T extends string>(
  directive: ReadDirective,
  argument: string,
  known: readonly T[],
  problems: ProblemList,
): readonly T[] | undefined {
  const words = directive.values[argument];
  if (!Array.isArray(words)) return undefined;
  const found: T[] = [];
  for (const word of words) {
    const match = known.find((each) => each === word);
    if (match !== undefined) found.push(match);
    else {
      problems.add(directive.placeOf(argument), `unknown name ${String(word)} in ${argument}`, {
        cure: suggest(String(word), known),
      });
    }
  }
  return found;
}
