import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const UNIT = 'test/unit/**/*.test.ts';

// Tests that start a real node run `dist/main.js`, built once by the global set-up.
// Forks, not threads: a uWebSockets.js app that is open when a worker thread ends aborts the
// process.
export default defineConfig({
  resolve: { alias: { millrace: root('src/index.ts') } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    // What a test waits for are conditions: their time is only how long a busy machine may take.
    testTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 120_000,
    globalSetup: ['test/support/build-once.ts'],
    projects: [
      // They change nothing that outlives them: the modules of the source are loaded once for all.
      { extends: true, test: { name: 'unit', include: [UNIT], isolate: false } },
      { extends: true, test: { name: 'node', include: ['test/**/*.test.ts'], exclude: [UNIT] } },
    ],
  },
});
