/**
 * What clients were answered while things went wrong: writers put, add and delete at a node until
 * they are told to stop, and at the end the rows that all nodes hold are compared with it. A write
 * that was not answered may be there or not; one that was answered is.
 */
import type { NodeProcess } from './node-process.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
/** A client gives up on a node whose cable is pulled. */
const ANSWER_MS = 3_000;
/** A node that is not there is asked again so soon. */
const PAUSE_MS = 20;
/** Rows to which a writer adds once in a while, and that all writers share. */
export const SUM = 'sum';

type Fate = 'put' | 'deleted' | 'unsure';

export interface Row {
  readonly id: string;
  readonly count?: number;
}

export class Ledger {
  readonly #fates = new Map<string, Fate>();
  #adds = 0;
  #unsureAdds = 0;

  /** Ids whose last answered write put them there. */
  get kept(): readonly string[] {
    return [...this.#fates].filter(([, fate]) => fate === 'put').map(([id]) => id);
  }

  get answered(): number {
    return this.#fates.size + this.#adds;
  }

  /** A row that a node has answered for. */
  async put(node: NodeProcess, id: string, document: object = {}): Promise<boolean> {
    this.#fates.set(id, 'unsure');
    const isKept = await asked(node, id, { method: 'PUT', body: JSON.stringify(document) });
    if (isKept) this.#fates.set(id, 'put');
    return isKept;
  }

  /** Many rows in one request; throws unless the node has answered for all. */
  async fill(node: NodeProcess, prefix: string, count: number, bytes = 20): Promise<void> {
    const ids = Array.from({ length: count }, (_, n) => `${prefix}${n}`);
    const name = 'x'.repeat(bytes);
    const response = await node.fetch('/Item/', {
      method: 'PUT',
      body: ids.map((id) => JSON.stringify({ id, name })).join('\n'),
      headers: { 'content-type': 'application/x-ndjson' },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    for (const id of ids) this.#fates.set(id, 'put');
  }

  async remove(node: NodeProcess, id: string): Promise<void> {
    this.#fates.set(id, 'unsure');
    if (await asked(node, id, { method: 'DELETE' })) this.#fates.set(id, 'deleted');
  }

  async add(node: NodeProcess, who: string, times: number): Promise<void> {
    const body = JSON.stringify({ count: { __op__: 'add', value: 1 }, [who]: times });
    if (await asked(node, SUM, { method: 'PATCH', body })) this.#adds += 1;
    else this.#unsureAdds += 1;
  }

  /** Writes at whatever `node` gives, until the function that it returns is called. */
  writing(node: () => NodeProcess | undefined, name: string): () => Promise<void> {
    let isOver = false;
    const mine: string[] = [];
    const round = async (n: number): Promise<void> => {
      const one = node();
      if (one === undefined) return pause(PAUSE_MS);
      const id = `${name}-${n}`;
      if (await this.put(one, id, { name, count: n })) mine.push(id);
      else await pause(PAUSE_MS);
      await this.add(one, name, n);
      const gone = n % 4 === 3 ? mine.shift() : undefined;
      if (gone !== undefined) await this.remove(one, gone);
    };
    const running = (async () => {
      for (let n = 0; !isOver; n += 1) await round(n);
    })();
    return () => {
      isOver = true;
      return running;
    };
  }

  /** What is wrong with the rows that all nodes hold in the end; empty when nothing is. */
  faults(rows: readonly Row[]): readonly string[] {
    const ids = new Set(rows.map(({ id }) => id));
    const wrong = (fate: Fate, isThere: boolean) =>
      [...this.#fates]
        .filter(([id, one]) => one === fate && ids.has(id) === isThere)
        .map(([id]) => `${id} was ${fate}, and is ${isThere ? '' : 'not '}there`);
    const faults = [...wrong('put', false), ...wrong('deleted', true)];
    const strangers = [...ids].filter((id) => !id.startsWith(SUM) && !this.#fates.has(id));
    faults.push(...strangers.map((id) => `${id} was never written`));
    const { count = 0 } = rows.find(({ id }) => id === SUM) ?? {};
    const most = this.#adds + this.#unsureAdds;
    if (count < this.#adds || count > most) {
      faults.push(`the sum is ${count}, of ${this.#adds} to ${most} additions`);
    }
    return faults;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function asked(node: NodeProcess, id: string, init: RequestInit): Promise<boolean> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    const response = await node.fetch(`/Item/${id}`, { ...init, headers: JSON_TYPE, signal });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
