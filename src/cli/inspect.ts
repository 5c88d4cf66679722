/**
 * `millrace inspect`: what is held under a key or URL, and why a read would be answered with it or
 * not, in lines for a person.
 */
import { type AdminFlags, type Answer, exitCodeOf, operate, printed } from './admin-client.ts';
import { TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

/** `Table/key`, or the URL of a page. */
export function inspectEntry(what: string, flags: AdminFlags, terminal: Terminal): Promise<number> {
  return exitCodeOf(terminal, async () => {
    const document = { operation: 'cache_inspect', ...namedBy(what) };
    const answer = await operate(flags, terminal, document);
    if (flags.json === true) terminal.out(printed(answer));
    else for (const line of inspectionLines(answer)) terminal.out(line);
    return answer.stored === true ? EXIT.clean : EXIT.fault;
  });
}

function namedBy(what: string): object {
  if (/^https?:\/\//i.test(what)) return { url: what };
  const slash = what.indexOf('/');
  if (slash > 0 && slash < what.length - 1) {
    return { table: what.slice(0, slash), key: what.slice(slash + 1) };
  }
  const message = `${what}: name a record as Table/key, or a page by its URL with http://`;
  throw new TransferError(message, { isUsage: true });
}

interface Decision {
  readonly action: string;
  readonly rule: number;
  readonly because: string;
  readonly coversFailure: boolean;
}

interface Scope {
  readonly scope: string;
  readonly name: string;
  readonly kind: string;
  readonly sequence: number;
}

function inspectionLines(answer: Answer): string[] {
  const entries = (answer.entries ?? []) as readonly Answer[];
  const lines = [`${String(answer.table)}  ${String(answer.key)}`];
  if (entries.length === 0) lines.push(...decisionLines(answer.decision as Decision));
  for (const entry of entries) lines.push(...entryLines(entry));
  const policy = answer.policy as { readonly name: string; readonly values: PolicyValues };
  lines.push('', `policy ${policy.name}, where it differs from the defaults:`);
  const own = Object.entries(policy.values).filter(([, { from }]) => from !== 'default');
  for (const [name, { value, from }] of own) {
    lines.push(`  ${name} = ${JSON.stringify(value)}  (${from})`);
  }
  if (own.length === 0) lines.push('  nowhere');
  return lines;
}

type PolicyValues = Readonly<Record<string, { readonly value: unknown; readonly from: string }>>;

const decisionLines = ({ action, rule, because, coversFailure }: Decision): string[] => [
  `  a read now would ${action}: ${because} (rule ${rule})`,
  ...(coversFailure ? ['  if the origin fails, it is served all the same'] : []),
];

const SHOWN = [
  ...['status', 'bytes', 'ageSeconds', 'storedAt', 'freshUntil', 'staleWhileRevalidateUntil'],
  ...['staleIfErrorUntil', 'evictAt', 'entityTag', 'stamp', 'version'],
];

function entryLines(entry: Answer): string[] {
  const variant = typeof entry.variant === 'string' ? ` for ${entry.variant}` : '';
  const lines = ['', `${String(entry.state)}${variant}`];
  lines.push(...decisionLines(entry.decision as Decision));
  for (const name of SHOWN) lines.push(`  ${name.padEnd(26)} ${String(entry[name])}`);
  const groups = (entry.groups ?? []) as readonly string[];
  if (groups.length > 0) lines.push(`  ${'groups'.padEnd(26)} ${groups.join(', ')}`);
  for (const { scope, name, kind, sequence } of entry.invalidatedBy as readonly Scope[]) {
    lines.push(`  invalidated ${kind} by ${scope} ${name} at sequence ${sequence}`);
  }
  return lines;
}
