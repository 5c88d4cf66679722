/** How an engine is chosen, and that none is chosen silently. */
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { selectEngine } from '../../../../src/protocols/http/engine.ts';

describe('the choice of the HTTP engine', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-engine-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('takes the node engine when it is asked for', async () => {
    expect((await selectEngine('node')).engine).toBe('node');
  });

  it('says why it chose', async () => {
    const { engine, reason } = await selectEngine('auto');
    expect(reason).toMatch(engine === 'uws' ? /loads on this machine/ : /cannot be loaded/);
  });

  it('falls back from a build that cannot be loaded, and says so', async () => {
    const uwsPath = join(folder, 'broken.node');
    writeFileSync(uwsPath, 'not a library');
    const { engine, reason } = await selectEngine('auto', { uwsPath });
    expect(engine).toBe('node');
    expect(reason).toContain('cannot be loaded');
  });

  it('never falls back from an engine that was forced', async () => {
    const uwsPath = join(folder, 'absent.node');
    await expect(selectEngine('uws', { uwsPath })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });
});
