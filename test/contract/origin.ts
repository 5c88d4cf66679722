/**
 * What the read path may rely on, whatever the kind of an origin. Each kind runs it with `make`,
 * which opens an origin that holds exactly the given records.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../src/cache/entry.ts';
import type { OriginReply } from '../../src/cache/ports.ts';
import type { WritableOrigin } from '../../src/origin/table-origin.ts';
import { ask, failureOf, recordOf } from '../support/origins.ts';

export type HeldRecord = Readonly<Record<string, unknown>> & { readonly id: string };

/** A record by id, or what goes wrong with it. `confirm` answers a conditional request. */
export type OriginScript = (id: string) => HeldRecord | 'absent' | 'fail' | 'hang' | 'confirm';

export interface OriginContract {
  /** An origin with a timeout of two seconds and no retries. */
  make(script: OriginScript): Promise<{ table: WritableOrigin; close(): Promise<void> }>;
}

export function originContract(kind: string, { make }: OriginContract): void {
  const opened: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of opened.splice(0)) await close();
  });

  async function open(script: OriginScript): Promise<WritableOrigin> {
    const { table, close } = await make(script);
    opened.push(close);
    return table;
  }

  describe(`an origin of kind ${kind}`, () => {
    it('finds a record, as UTF-8 JSON with its key in it', async () => {
      const table = await open((id) => ({ id, name: 'Zürich' }));
      const reply = await table.fetch(ask('zrh'));
      expect(recordOf(reply)).toEqual({ id: 'zrh', name: 'Zürich' });
      expect(reply.facts.status).toBe(200);
      expect(reply.facts.receivedAt).toBeGreaterThanOrEqual(reply.facts.requestedAt);
    });

    it('says absent, which is an answer and no failure', async () => {
      const table = await open(() => 'absent');
      const reply = await table.fetch(ask('nope'));
      expect([reply.kind, reply.facts.status]).toEqual(['absent', 404]);
    });

    it('confirms the entry that is being replaced', async () => {
      const table = await open(() => 'confirm');
      const body = new TextEncoder().encode('{"id":"a"}');
      const entry = { kind: 'record', id: 'a', body, meta: { originTag: '"v1"' } };
      const replacing = { ...entry, retain: () => entry } as unknown as Entry;
      expect((await table.fetch(ask('a', { replacing }))).kind).toBe('notModified');
    });

    it('fails with an operating error that blames the origin', async () => {
      const table = await open(() => 'fail');
      expect((await failureOf(table.fetch(ask('a')))).blame).toBe('origin');
    });

    it('fails at its deadline', async () => {
      const table = await open(() => 'hang');
      const began = performance.now();
      expect((await failureOf(table.fetch(ask('a')))).code).toBe('ORIGIN_TIMED_OUT');
      expect(performance.now() - began).toBeGreaterThanOrEqual(290);
    });

    it('ends with the caller’s reason when the caller leaves', async () => {
      const table = await open(() => 'hang');
      const leaving = new AbortController();
      const left = table.fetch(ask('a', { signal: leaving.signal }));
      leaving.abort(new Error('the caller left'));
      await expect(left).rejects.toThrow('the caller left');
    });

    it('keeps calls apart that run together', async () => {
      const table = await open((id) => (id.endsWith('3') ? 'fail' : { id, twice: id + id }));
      const ids = Array.from({ length: 50 }, (_, index) => `r${index}`);
      const replies = await Promise.allSettled(ids.map((id) => table.fetch(ask(id))));
      for (const [index, id] of ids.entries()) {
        const outcome = replies[index] as PromiseSettledResult<OriginReply>;
        if (id.endsWith('3')) expect(outcome.status).toBe('rejected');
        else if (outcome.status === 'rejected') expect.fail(String(outcome.reason));
        else expect(recordOf(outcome.value)).toEqual({ id, twice: id + id });
      }
    });
  });
}
