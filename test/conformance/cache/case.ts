/**
 * Conformance cases of the read path as data, after the public cache-tests: each names its clause,
 * what kind of rule it is, and the cases which must hold before it means anything. The runner plays
 * the steps against a read path with a scripted origin.
 */
import { expect } from 'vitest';
import type { ErrorCode } from '../../../src/base/errors.ts';
import type { SettingsOverride } from '../../../src/cache/policy.ts';
import type { ScriptedReply } from '../../support/scripted-origin.ts';
import { Scenario, type Seen } from '../../unit/cache/scenario.ts';

/** What the origin does when it is asked; a step without it must not reach the origin. */
export type OriginAct =
  | { readonly reply: ScriptedReply }
  | { readonly notModified: ScriptedReply }
  | { readonly fail: ErrorCode; readonly status?: number };

export interface Expected {
  readonly kind: Seen['kind'];
  readonly served?: string;
  readonly body?: string;
  readonly age?: number;
  readonly hit?: boolean;
  readonly fwd?: string;
  readonly ttl?: number;
  readonly stored?: boolean;
  readonly detail?: string;
  /** Whether the origin was asked with the entry's validators. */
  readonly conditional?: boolean;
}

export type Step =
  | { readonly wait: number }
  | { readonly invalidate: 'hard' | 'soft' }
  | {
      readonly read: string;
      readonly origin?: OriginAct;
      readonly expect: Expected;
      /** Set when the client may not force validation. */
      readonly anonymous?: boolean;
    };

export interface ConformanceCase {
  readonly id: string;
  /** `required`: MUST; `optimal`: SHOULD, or what a good cache does; `choice`: this node's own. */
  readonly kind: 'required' | 'optimal' | 'choice';
  readonly clause: string;
  readonly dependsOn?: readonly string[];
  readonly policy?: SettingsOverride;
  readonly steps: readonly Step[];
}

/** The first read of nearly every case: fetched, and said to be stored. */
export const fetched = (reply: ScriptedReply, expected: Partial<Expected> = {}): Step => ({
  read: '',
  origin: { reply },
  expect: { kind: 'found', served: 'fetched', fwd: 'uri-miss', ...expected },
});

/** A read which the cache answers by itself. */
export const hit = (read = '', expected: Partial<Expected> = {}): Step => ({
  read,
  expect: { kind: 'found', served: 'fresh', hit: true, ...expected },
});

export async function play({ policy, steps }: ConformanceCase): Promise<void> {
  const scenario = new Scenario(policy === undefined ? {} : { policy });
  for (const step of steps) {
    if ('wait' in step) await scenario.advance(step.wait * 1_000);
    else if ('invalidate' in step) invalidate(scenario, step.invalidate);
    else await playRead(scenario, step);
  }
}

function invalidate(scenario: Scenario, how: 'hard' | 'soft'): void {
  scenario.entries.invalidate({ id: 'a' }, how === 'soft' ? scenario.clock.instant : undefined);
}

async function playRead(scenario: Scenario, step: Extract<Step, { read: string }>): Promise<void> {
  const { anonymous = false, origin, expect: expected } = step;
  const read = await scenario.read('a', { cacheControl: step.read, mayForce: !anonymous });
  const conditional = scenario.origin.open[0]?.request.conditional;
  if (origin !== undefined) await act(scenario, origin);
  expect(scenario.origin.open, 'calls which the case does not know of').toHaveLength(0);
  const [result] = read.results;
  if (result === undefined) throw new Error('the read was not answered');
  expect(summary(result, conditional)).toMatchObject(expected);
}

async function act(scenario: Scenario, does: OriginAct): Promise<void> {
  const call = scenario.origin.next();
  if ('reply' in does) call.reply(does.reply);
  else if ('notModified' in does) call.notModified(does.notModified);
  else call.fail(does.fail, does.status);
  await scenario.step();
}

function summary(result: Seen, conditional: boolean | undefined): Expected {
  const { hit: isHit, fwd, ttl, stored, detail } = result.cacheStatus;
  return {
    kind: result.kind,
    hit: isHit,
    ...(result.kind === 'found' ? { body: result.text } : {}),
    ...('served' in result ? { served: result.served, age: result.age } : {}),
    ...(fwd === undefined ? {} : { fwd }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(stored === undefined ? {} : { stored }),
    ...(detail === undefined ? {} : { detail }),
    ...(conditional === undefined ? {} : { conditional }),
  };
}
