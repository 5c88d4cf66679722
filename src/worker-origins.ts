/**
 * The origins of one thread: opened from settings or code, and kept up with their files. An origin
 * whose settings or code did not change keeps its connections and its breaker over a reload.
 */
import path from 'node:path';
import type { OriginSource } from './config/application.ts';
import { plainText } from './config/differences.ts';
import type { OriginSettings } from './config/origin-file.ts';
import type { Configuration, PreparedPart, ReloadPart } from './config/reload.ts';
import type { Surroundings } from './origin/attempts.ts';
import {
  type DefinedOrigin,
  isOriginKind,
  type OriginDefinition,
  type OriginKind,
} from './origin/definition.ts';
import { openCodeOrigin, openOrigin } from './origin/open-origin.ts';
import type { OriginRuntime } from './origin/runtime.ts';
import { hasChanged, type Loaded, loadKindCode, loadOrigin } from './resource/load-code.ts';
import { withSiblingFills } from './resource/source-call.ts';

interface OpenedOrigin {
  readonly source: OriginSource;
  readonly runtime: OriginRuntime;
  readonly code: Loaded<DefinedOrigin | OriginKind> | undefined;
}

/** Called when another origin stands behind a name, for what was made of the one before. */
export type FollowOrigin = (name: string) => void;

interface Renewal {
  readonly name: string;
  readonly opened: OpenedOrigin;
}

export class ThreadOrigins implements ReloadPart {
  readonly name = 'origins';
  readonly runtimes = new Map<string, OriginRuntime>();
  readonly #opened = new Map<string, OpenedOrigin>();
  readonly #folder: string;
  readonly #surroundings: Surroundings;
  readonly #followers: FollowOrigin[] = [];

  private constructor(folder: string, surroundings: Surroundings) {
    this.#folder = folder;
    this.#surroundings = surroundings;
  }

  /** Throws the errors of origins and of their code. */
  static async open(
    sources: ReadonlyMap<string, OriginSource>,
    folder: string,
    surroundings: Surroundings,
  ): Promise<ThreadOrigins> {
    const origins = new ThreadOrigins(folder, surroundings);
    for (const [name, source] of sources) {
      const opened = await origins.#open(name, source, undefined);
      origins.#opened.set(name, opened);
      origins.runtimes.set(name, opened.runtime);
    }
    return origins;
  }

  /** An origin which code defined that is loaded at the start only. */
  addCode(name: string, definition: OriginDefinition): void {
    this.runtimes.set(name, openCodeOrigin(definition, name, this.#surroundings));
  }

  onRenewed(follow: FollowOrigin): void {
    this.#followers.push(follow);
  }

  async prepare({ application }: Configuration): Promise<PreparedPart> {
    const renewals: Renewal[] = [];
    const changes: string[] = [];
    const restarts: string[] = [];
    const discard = async () => {
      for (const { opened } of renewals) await opened.runtime.discard();
    };
    try {
      for (const [name, source] of application.origins) {
        const old = this.#opened.get(name);
        if (old === undefined) {
          restarts.push(`origins/${name} is new`);
          continue;
        }
        const change = await this.#changeOf(name, old, source);
        if (change === undefined) continue;
        const opened = await this.#open(name, source, old);
        renewals.push({ name, opened });
        if (needsProcess(old.source, source)) restarts.push(`${change}: its run command`);
        else if (old.runtime.canAdopt(opened.runtime)) changes.push(change);
        else restarts.push(`${change}: whether it lists, renders pages or has a feed`);
      }
    } catch (error) {
      await discard();
      throw error;
    }
    for (const name of this.#opened.keys()) {
      if (!application.origins.has(name)) restarts.push(`origins/${name} is gone`);
    }
    return { changes, restarts, apply: () => this.#adopt(renewals), discard };
  }

  #adopt(renewals: readonly Renewal[]): void {
    for (const { name, opened } of renewals) {
      const old = this.#opened.get(name);
      if (old === undefined) continue;
      if (needsProcess(old.source, opened.source) || !old.runtime.canAdopt(opened.runtime)) {
        void opened.runtime.discard();
        continue;
      }
      old.runtime.adopt(opened.runtime);
      this.#opened.set(name, { ...opened, runtime: old.runtime });
      for (const follow of this.#followers) follow(name);
    }
  }

  /** What changed, in words that tell no secret; `undefined`: nothing. */
  async #changeOf(
    name: string,
    old: OpenedOrigin,
    source: OriginSource,
  ): Promise<string | undefined> {
    const before = settingsOf(old.source);
    const after = settingsOf(source);
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
      (key) => key !== 'place' && plainText(before[key]) !== plainText(after[key]),
    );
    const file = this.#codeFile(source);
    const isCodeChanged =
      file !== undefined &&
      (old.code === undefined || (await hasChanged(old.code, file.path, file.folder)));
    const changed = [...keys, ...(isCodeChanged ? ['code'] : [])];
    return changed.length === 0 ? undefined : `origins/${name}: ${changed.join(', ')}`;
  }

  #codeFile(source: OriginSource): { path: string; folder: string | undefined } | undefined {
    if (source.kind === 'code') return { path: source.file, folder: undefined };
    const { kind, module } = source.settings;
    if (kind !== 'module' || module === undefined) return undefined;
    return { path: path.resolve(this.#folder, module), folder: this.#folder };
  }

  /** An origin of settings, of code, or of code with settings (`kind: module`). */
  async #open(
    name: string,
    source: OriginSource,
    old: OpenedOrigin | undefined,
  ): Promise<OpenedOrigin> {
    const surroundings = this.#surroundings;
    const settings = source.kind === 'code' ? undefined : source.settings;
    const file = this.#codeFile(source);
    if (file === undefined) {
      const runtime = await openOrigin(settings as OriginSettings, surroundings);
      return { source, runtime, code: undefined };
    }
    const isSame = old?.code !== undefined && !(await hasChanged(old.code, file.path, file.folder));
    const isKind = settings?.broughtKind !== undefined;
    const load = isKind ? loadKindCode : loadOrigin;
    const loaded = (isSame ? old?.code : undefined) ?? (await load(file.path, file.folder));
    const { value } = loaded;
    const runtime = isOriginKind(value)
      ? await openOrigin(settings as OriginSettings, surroundings, value)
      : openCodeOrigin(withSiblingFills(value), name, surroundings, settings);
    return { source, runtime, code: loaded };
  }
}

const settingsOf = (source: OriginSource): Readonly<Record<string, unknown>> =>
  source.kind === 'code' ? { file: source.file } : { ...source.settings };

/** A process that this node runs is started with the node. */
function needsProcess(before: OriginSource, after: OriginSource): boolean {
  const run = (source: OriginSource) =>
    source.kind === 'settings' ? source.settings.run : undefined;
  return run(before) !== run(after);
}
