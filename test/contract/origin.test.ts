/** The kinds of origin against the contract of the read path. */

import { durationMs } from '../../src/base/brands.ts';
import { systemClock } from '../../src/base/clock.ts';
import { defineOrigin, notModified } from '../../src/index.ts';
import { openCodeOrigin } from '../../src/origin/open-origin.ts';
import { type Behaviour, behave, HttpOrigin } from '../support/http-origin.ts';
import { binding, openTestOrigin } from '../support/origins.ts';
import { type OriginScript, originContract } from './origin.ts';

const timeoutMs = 2_000;
// A breaker of its own size: the contract lets single records fail among good ones.
const breaker = { failures: 100, cooldownMs: durationMs(1_000) };

function overHttp(script: OriginScript, path: string): Behaviour {
  const outcome = script(decodeURIComponent(path.split('/').at(-1) ?? ''));
  if (outcome === 'absent') return behave.status(404);
  if (outcome === 'fail') return behave.status(500);
  if (outcome === 'hang') return behave.hang();
  return outcome === 'confirm' ? behave.notModified() : behave.json(outcome);
}

originContract('http', {
  async make(script) {
    const http = await HttpOrigin.start(({ path }) => overHttp(script, path));
    const settings = { url: http.url, timeoutMs: durationMs(timeoutMs), breaker };
    const runtime = await openTestOrigin(settings);
    const close = async () => {
      await runtime.stop();
      await http.close();
    };
    return { table: runtime.table(binding), close };
  },
});

originContract('module', {
  async make(script) {
    const definition = defineOrigin({
      limits: { timeoutMs, retries: 0, breaker },
      async get(id) {
        const outcome = script(String(id));
        if (outcome === 'absent') return undefined;
        if (outcome === 'fail') throw new Error('as scripted');
        if (outcome === 'hang') return new Promise(() => undefined);
        return outcome === 'confirm' ? notModified() : outcome;
      },
    });
    const around = { clock: systemClock, random: Math.random };
    const runtime = openCodeOrigin(definition, 'code', around);
    return { table: runtime.table(binding), close: () => runtime.stop() };
  },
});
