/** Starts the scripted origin and steers it. */
import { fileURLToPath } from 'node:url';
import { GENERATOR_CORE } from '../harness/cores.ts';
import { type Server, startServer } from '../harness/server.ts';

export interface OriginSettings {
  readonly delay?: number | undefined;
  readonly status?: number | undefined;
  readonly hang?: 1 | undefined;
  readonly maxAge?: number | undefined;
}

export interface Origin extends Server {
  /** Sets how it answers from now on; what is not given returns to its default. */
  control(settings: OriginSettings): Promise<void>;
  /** Requests since the last `control`. */
  count(): Promise<number>;
}

/** Runs one of our TypeScript processes through tsx. */
export const script = (file: string): string[] => [
  '--import',
  'tsx',
  fileURLToPath(new URL(file, import.meta.url)),
];

export const listeningUrl = (output: string): string | undefined =>
  /listening (http:\S+)/.exec(output)?.[1];

export async function startOrigin(): Promise<Origin> {
  const server = await startServer({
    name: 'origin',
    command: process.execPath,
    args: script('./origin-process.ts'),
    core: GENERATOR_CORE,
    readyUrl: listeningUrl,
  });
  return {
    ...server,
    async control(settings) {
      const query = new URLSearchParams();
      for (const [name, value] of Object.entries(settings)) query.set(name, String(value));
      await (await fetch(`${server.url}/control?${query}`)).text();
    },
    count: async () => Number(await (await fetch(`${server.url}/count`)).text()),
  };
}
