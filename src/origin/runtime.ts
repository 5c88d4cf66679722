/**
 * One origin of the application, started and stopped as a whole: its code or kind, what surrounds
 * every call (`attempts.ts`), its health probes and its way out. Tables get their own view of it by
 * `table()`, and share its limits: a slow origin is slow once, not once a table.
 *
 * A reload replaces what stands behind the name (`adopt`): views stay valid, calls under way end
 * with what they began with, and its connections are closed once it is idle.
 */
import { must } from '../base/assert.ts';
import { durationMs } from '../base/brands.ts';
import type { Cancel } from '../base/clock.ts';
import { realSignal, type StopSignal } from '../base/stop.ts';
import type { PageOrigin } from '../cache/pages/ports.ts';
import { type AttemptSettings, Attempts, type Surroundings } from './attempts.ts';
import type { OriginCounters } from './counters.ts';
import { withDeadline } from './deadline.ts';
import type { OriginDefinition, TableBinding } from './definition.ts';
import { type FeedHooks, OriginFeed } from './feed.ts';
import type { HttpClient } from './http-client.ts';
import { type ListRecords, listed } from './listed.ts';
import { HttpPageOrigin, type PageOriginParts } from './page-origin.ts';
import type { ReplicaReport, Replicas } from './replicas.ts';
import { TableOrigin, type WritableOrigin } from './table-origin.ts';

export interface RuntimeSettings extends AttemptSettings {
  readonly bodyMax: number;
  /** Milliseconds between two health probes; `undefined`: none. */
  readonly probeEveryMs?: number | undefined;
}

export interface RuntimeParts {
  readonly settings: RuntimeSettings;
  readonly definition: OriginDefinition;
  readonly around: Surroundings;
  /** The kind's way out, when it has one. */
  readonly client?: HttpClient | undefined;
  /** How pages are asked for, when the kind can be asked for pages. */
  readonly pages?: Pick<PageOriginParts, 'url' | 'headers' | 'host' | 'agent'> | undefined;
  /** Several places in the one of the settings' URL, and how each is asked for its health. */
  readonly replicas?: Replicas | undefined;
  readonly probe?: { readonly path: string } | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Header fields of a reply that name groups, unless the policy says otherwise. */
const GROUP_FIELDS = ['cache-groups', 'cache-tag', 'surrogate-key', 'xkey'];

const WARM_AFTER = durationMs(500);
/** How often one that was replaced is asked whether it is idle, and for how long. */
const IDLE_LOOK_EVERY = durationMs(1_000);
const IDLE_LOOKS_MAX = 600;

export class OriginRuntime {
  readonly name: string;
  #parts: RuntimeParts;
  #attempts: Attempts;
  #pages: PageOrigin | undefined;
  #isStarted = false;
  readonly #stopping = new AbortController();
  #nextProbe: Cancel | undefined;
  #warming: Cancel | undefined;

  constructor(parts: RuntimeParts) {
    this.#parts = parts;
    this.name = parts.settings.name;
    const { replicas } = parts;
    const othersStand = () => replicas?.standing === true;
    this.#attempts = new Attempts(parts.settings, parts.around, othersStand);
  }

  get counters(): OriginCounters {
    return this.#attempts.counters;
  }

  /** Its replicas, when it has several. */
  get replicas(): readonly ReplicaReport[] {
    return this.#parts.replicas?.report() ?? [];
  }

  /** Bytes that came over the wire; the http client reports them here. */
  countBytes(bytes: number): void {
    this.#attempts.bytes += bytes;
  }

  /** The origin as a table sees it. `groupsFrom`: the policy's `groups.from`. */
  table(
    binding: TableBinding,
    groupsFrom: () => readonly string[] = () => GROUP_FIELDS,
  ): WritableOrigin {
    return new TableOrigin({
      name: this.name,
      binding,
      current: () => ({
        definition: this.#parts.definition,
        attempts: this.#attempts,
        rules: {
          groupsFrom: groupsFrom().map((name) => name.toLowerCase()),
          bodyMax: this.#parts.settings.bodyMax,
        },
      }),
      clock: this.#parts.around.clock,
    });
  }

  /** Asks for all records of a table; `undefined` when the origin cannot list them. */
  lister(binding: TableBinding): ListRecords | undefined {
    if (this.#parts.definition.list === undefined) return undefined;
    return ({ signal, background, where }) => {
      const { definition } = this.#parts;
      return this.#attempts.run({
        task: (stop) =>
          listed(this.name, definition, { ...binding, signal: realSignal(stop), where }),
        signal,
        background,
        mayRepeat: () => true,
        outcomeOf: () => 'ok',
      });
    };
  }

  /** Attributes by whose values a list can be asked for in part. */
  get listBy(): readonly string[] {
    return this.#parts.definition.listBy ?? [];
  }

  /** The origin as a page table sees it; `undefined` when its kind renders no pages. */
  pages(): PageOrigin | undefined {
    if (this.#parts.pages === undefined) return undefined;
    return {
      name: this.name,
      fetch: (request) => this.#renderer().fetch(request),
      upgrade: (request) => this.#renderer().upgrade(request),
      close: () => this.#renderer().close(),
    };
  }

  #renderer(): PageOrigin {
    const { pages, around } = this.#parts;
    this.#pages ??= new HttpPageOrigin({
      ...must(pages, `pages of origin ${this.name}`),
      name: this.name,
      attempts: this.#attempts,
      clock: around.clock,
      replicas: this.#parts.replicas,
    });
    return this.#pages;
  }

  /**
   * Whether tables that were opened over this origin can go on with `next`: what is decided when a
   * table is opened (that there is a list, pages, a feed) must not change under it.
   */
  canAdopt(next: OriginRuntime): boolean {
    const abilities = ({ definition, pages }: RuntimeParts) =>
      [definition.list, definition.subscribe, pages].map((one) => one !== undefined).join();
    return abilities(this.#parts) === abilities(next.#parts);
  }

  /** Calls from now on are made as `next` makes them; it must not be used by itself any more. */
  adopt(next: OriginRuntime): void {
    const old = { ...this.#parts, attempts: this.#attempts };
    next.#attempts.countFrom(this.#attempts);
    this.#parts = next.#parts;
    this.#attempts = next.#attempts;
    this.#pages = undefined;
    this.#nextProbe?.();
    this.#scheduleProbe();
    const { clock } = old.around;
    const isKept = old.definition === next.#parts.definition;
    const rest = isKept ? { client: old.client } : old;
    const closeWhenIdle = (looks: number): void => {
      if (old.attempts.isIdle || looks === IDLE_LOOKS_MAX) void close(rest).catch(() => undefined);
      else clock.after(IDLE_LOOK_EVERY, () => closeWhenIdle(looks + 1));
    };
    // A call that waits between two attempts is not seen; it ends within twice the time-out.
    clock.after(durationMs(old.settings.timeoutMs * 2), () => closeWhenIdle(0));
  }

  /** One that was opened and is not wanted after all. */
  discard(): Promise<void> {
    return close(this.#parts);
  }

  /** Whether the origin has a live feed. */
  get hasFeed(): boolean {
    return this.#parts.definition.subscribe !== undefined;
  }

  /** A feed for these tables, not yet started; `undefined` when the origin has none. */
  feed(tables: readonly TableBinding[], hooks: FeedHooks): OriginFeed | undefined {
    const { definition, around } = this.#parts;
    if (definition.subscribe === undefined) return undefined;
    const subscribe = definition.subscribe.bind(definition);
    return new OriginFeed({ name: this.name, tables, subscribe, hooks, around });
  }

  /** Begins the health probes, and soon loads what the first request would have to wait for. */
  start(): void {
    const { around, client } = this.#parts;
    this.#isStarted = true;
    // Not at once: the node would be ready later for it. A failure to load shows again, with a
    // message, at the first request.
    this.#warming = around.clock.after(WARM_AFTER, () => {
      void client?.warm().catch(() => undefined);
    });
    this.#scheduleProbe();
  }

  async stop(): Promise<void> {
    this.#nextProbe?.();
    this.#warming?.();
    this.#stopping.abort(new Error('the origin is being stopped'));
    await close(this.#parts);
  }

  #scheduleProbe(): void {
    const { settings, definition, around } = this.#parts;
    const isAsked = definition.probe !== undefined || this.#parts.replicas !== undefined;
    if (settings.probeEveryMs === undefined || !isAsked) return;
    if (this.#stopping.signal.aborted || !this.#isStarted) return;
    const every = durationMs(settings.probeEveryMs);
    this.#nextProbe = around.clock.after(every, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    const { definition, replicas } = this.#parts;
    const probe = async (signal: StopSignal) => definition.probe?.(realSignal(signal));
    const well =
      replicas === undefined ? await this.#answers(probe) : await this.#probeReplicas(replicas);
    if (this.#stopping.signal.aborted) return;
    this.#attempts.probed(well);
    this.#scheduleProbe();
  }

  /** Each for itself; the origin is well when one of them is. */
  async #probeReplicas(replicas: Replicas): Promise<boolean> {
    const { client, probe, headers } = this.#parts;
    const path = probe?.path ?? '/';
    const asked = replicas.all.map(async (replica) => {
      const url = new URL(path, replica.url);
      const well = await this.#answers(async (signal) => client?.probe(url, { headers, signal }));
      if (!this.#stopping.signal.aborted) replicas.probed(replica, well);
      return well;
    });
    return (await Promise.all(asked)).includes(true);
  }

  #answers(probe: (signal: StopSignal) => Promise<void>): Promise<boolean> {
    const { settings, around } = this.#parts;
    const late = () => new Error('the probe took too long');
    const within = durationMs(settings.timeoutMs);
    return withDeadline(probe, within, this.#stopping.signal, around.clock, late).then(
      () => true,
      () => false,
    );
  }
}

async function close({ definition, client }: Partial<RuntimeParts>): Promise<void> {
  await definition?.close?.();
  await client?.close();
}
