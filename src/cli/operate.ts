/**
 * One operation of a running node, asked for by a command: sends the document to the admin port and
 * prints the answer; what the node refuses is said in its own words.
 */
import { readFileSync } from 'node:fs';
import { ask, TransferError } from './remote.ts';
import { EXIT, type Terminal } from './terminal.ts';

/** Where the admin port is and who asks. */
export interface AdminFlags {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly json?: boolean | undefined;
}

/** `print` makes lines of the answer, for people; without it, and with `--json`, it is JSON. */
export async function operate(
  document: Readonly<Record<string, unknown>>,
  flags: AdminFlags,
  terminal: Terminal,
  print?: ((answer: unknown) => readonly string[]) | undefined,
): Promise<number> {
  try {
    const response = await ask(flags, terminal.env, {
      method: 'POST',
      target: '/',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(document)),
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const answer: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (response.statusCode !== 200) {
      terminal.err(`millrace: ${wordsOf(answer)}`);
      return response.statusCode === 400 ? EXIT.usage : EXIT.fault;
    }
    const lines = print === undefined || flags.json === true ? undefined : print(answer);
    for (const line of lines ?? [JSON.stringify(answer, undefined, 2)]) terminal.out(line);
    return EXIT.clean;
  } catch (error) {
    const isOurs = error instanceof TransferError;
    terminal.err(`millrace: ${error instanceof Error ? error.message : String(error)}`);
    return isOurs && error.isUsage ? EXIT.usage : EXIT.fault;
  }
}

function wordsOf(answer: unknown): string {
  const { detail, title } = answer as { readonly detail?: string; readonly title?: string };
  return detail ?? title ?? JSON.stringify(answer);
}

/**
 * A secret that is not to stand on the command line, where other users of the machine can read it:
 * the first line of a file, or of standard input for `-`.
 */
export function secretFrom(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n[\s\S]*$/, '');
  } catch (error) {
    throw new TransferError(`${file} cannot be read: ${String(error)}`, { isUsage: true });
  }
}

/** `key=value` as an argument; what reads as JSON is JSON. */
export function argumentsOf(pairs: readonly string[]): Record<string, unknown> {
  const found: Record<string, unknown> = Object.create(null);
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at <= 0) throw new TransferError(`${pair}: write name=value`, { isUsage: true });
    const written = pair.slice(at + 1);
    try {
      found[pair.slice(0, at)] = JSON.parse(written);
    } catch {
      found[pair.slice(0, at)] = written;
    }
  }
  return found;
}
