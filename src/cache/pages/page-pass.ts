/**
 * Requests that the cache does not answer: every method but GET and HEAD goes to the origin, its
 * body streamed through. What it changed there is invalidated before the client hears of success
 * [RFC9111 §4.4]. A POST whose reply is what a GET would answer is stored as that [RFC9110 §9.3.3].
 */
import { asNodeError } from '../../base/errors.ts';
import { draftOfReply } from '../draft.ts';
import { initialAge } from '../freshness.ts';
import { keysOfUrl, type PageUrl } from './cache-key.ts';
import { fieldOf } from './fields.ts';
import { passedFields } from './forward.ts';
import { pageFacts } from './page-facts.ts';
import { isKnownByCookie } from './page-flight.ts';
import type { PageRequest } from './page-request.ts';
import type { PageReadsDeps, PageRun } from './page-run.ts';
import { groupsOn, keepingOf } from './page-store.ts';
import type { PageOriginReply, UpgradedOrigin } from './ports.ts';
import { SharedBody } from './shared-body.ts';
import { pageNotStorable } from './storable-page.ts';
import { clientFields, encodeFields, storedFields } from './stored-fields.ts';
import { changedSomething, changedTargets, invalidatedGroups, targetOn } from './unsafe.ts';

const NO_BYTES = new Uint8Array(0);

export async function passOn(run: PageRun): Promise<void> {
  const { page, deps } = run;
  const cacheStatus = { hit: false, fwd: 'method' } as const;
  let reply: PageOriginReply;
  try {
    reply = await deps.origin.fetch({
      method: page.method,
      target: page.target,
      host: page.client.host,
      fields: passedFields(page.fields, page.client),
      body: page.body?.(),
      bodyLength: page.bodyLength,
      background: false,
      signal: page.signal,
      source: page.client.address,
      onInterim: page.onInterim,
    });
  } catch (error) {
    run.answer?.({ kind: 'failed', error: asNodeError(error), cacheStatus });
    return;
  }
  const { host } = page.client;
  if (changedSomething(page.method, reply.status)) {
    const targets = changedTargets({ host, target: page.target }, reply.fields);
    const groups = invalidatedGroups(host, reply.fields);
    if (groups.length > 0) await deps.entries.invalidateGroups(groups);
    const keys = targets.map((target) => keysOfUrl(urlOf(host, target), run.policy, deps.schemes));
    await deps.entries.invalidate(
      keys.flatMap(({ ids }) => ids),
      keys.flatMap(({ prefixes }) => prefixes),
    );
  }
  await answerWith(run, reply);
}

function urlOf(host: string, target: string): PageUrl {
  const [path = '', ...query] = target.split('?');
  return { host, path, query: query.join('?') };
}

export type PageUpgrade = Pick<PageRequest, 'target' | 'client' | 'fields' | 'signal'>;

/** The cache has no part in a connection that is upgraded; rejects as `PageOrigin.upgrade`. */
export function passUpgrade(
  { origin }: PageReadsDeps,
  { target, client, fields, signal }: PageUpgrade,
): Promise<UpgradedOrigin | PageOriginReply> {
  return origin.upgrade({
    method: 'GET',
    target,
    host: client.host,
    fields: [...passedFields(fields, client), 'upgrade', 'websocket'],
    background: false,
    signal,
    source: client.address,
  });
}

async function answerWith(run: PageRun, reply: PageOriginReply): Promise<void> {
  const { page, deps, policy } = run;
  const facts = pageFacts(reply, policy.settings.groups.from);
  const lines = clientFields(reply.fields, facts);
  const own = { host: page.client.host, target: page.target };
  const located = targetOn(own, fieldOf(reply.fields, 'content-location'));
  const request = {
    method: page.method,
    isAuthorised: page.field('authorization') !== undefined,
    // Fields, cookies and a body that no key tells of made this reply.
    locatesItself: policy.settings.key.forward === 'all' && located === page.target,
    isKnownByCookie: isKnownByCookie(run),
    isRanged: page.field('range') !== undefined,
    ifRange: page.field('if-range'),
  };
  const isStorable = pageNotStorable(facts, request, policy) === undefined && !facts.vary?.length;
  const body = new SharedBody(
    reply.body,
    keepingOf(run, isStorable ? policy.settings.store.bodyMax : 0),
  );
  const stamp = deps.invalidations.stamp();
  run.answer?.({
    kind: 'arriving',
    status: reply.status,
    fields: lines,
    length: reply.body.length,
    body: reply.status === 204 || reply.status === 304 ? undefined : body.read(),
    age: Math.floor(initialAge(facts) / 1000) as never,
    isShared: false,
    cacheStatus: { hit: false, fwd: 'method', fwdStatus: reply.status, stored: isStorable },
  });
  const whole = isStorable ? await body.whole : undefined;
  if (whole === undefined) return;
  const context = {
    request: { id: page.id, variant: '' },
    policy,
    stamp,
    replaces: deps.entries.withEntry(page.id, '', (entry) => entry?.version),
    random: deps.random(),
  };
  const draft = draftOfReply({ kind: 'found', body: NO_BYTES, facts }, context);
  const fieldLines = encodeFields(storedFields(lines, facts));
  const groups = groupsOn(page.client.host, draft.meta.groups);
  const meta = { ...draft.meta, ...groups, fieldLines };
  await deps.entries.store({ ...draft, body: whole, meta }, undefined, []);
}
