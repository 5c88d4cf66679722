/**
 * A table's cache policy: settings (plain data, made from YAML or inline overrides) and hooks
 * (small pure functions which override one decision each). Every section a policy leaves out is the
 * `default` policy's.
 */
import type { DurationMs } from '../base/brands.ts';
import type { RequestDirectives } from './directives.ts';
import type { EntryFacts } from './entry.ts';
import type { ReplyFacts } from './ports.ts';

export interface PolicySettings {
  readonly name: string;
  readonly freshness: {
    readonly default: DurationMs;
    /**
     * Whether the origin's own directives beat the defaults, are capped by `max`, or are ignored.
     */
    readonly origin: 'respect' | 'ignore' | 'cap';
    readonly max: DurationMs;
    /**
     * Use 10 % of the time since `Last-Modified` when nothing explicit is given [RFC9111 §4.2.2].
     */
    readonly heuristic: boolean;
    /** Share of the lifetime, 0 to 1, by which it is randomly shortened. */
    readonly jitter: number;
  };
  readonly stale: { readonly whileRevalidate: DurationMs; readonly ifError: DurationMs };
  /** Status, or '4xx' / '5xx', → how long that answer is reused. */
  readonly negative: Readonly<Record<string, DurationMs>>;
  readonly key: {
    readonly method: readonly string[];
    readonly query: { readonly ignore: readonly string[]; readonly sort: boolean };
    readonly headers: readonly string[];
    readonly cookies: readonly string[];
    readonly forward: 'listed' | 'all';
  };
  readonly vary: { readonly allow: readonly string[]; readonly variantsMax: number };
  readonly groups: {
    /** Header fields of the origin's replies which name groups. */
    readonly from: readonly string[];
    /** Whether every answer names its record in `Cache-Groups`, or only one that was asked to. */
    readonly tables: boolean;
  };
  readonly store: {
    readonly bodyMax: number;
    readonly compress: readonly ('br' | 'gzip')[];
    readonly minBytesToCompress: number;
    /** Whether a reply that sets cookies is stored with them; they then go to everybody. */
    readonly setCookie: 'refuse' | 'keep';
    /** Never store (the policy `never`). */
    readonly enabled: boolean;
  };
  readonly collapse: {
    readonly waitersMax: number;
    readonly wait: DurationMs;
    /** Lifetime of a pass marker. */
    readonly passFor: DurationMs;
  };
  readonly retention: { readonly keepStale: DurationMs };
  readonly client: {
    /** `Cache-Control` told downstream; '' sends none. */
    readonly cacheControl: string;
    /** `CDN-Cache-Control` told downstream; '' sends none. */
    readonly cdnCacheControl: string;
    /** Whether anonymous clients may force validation by `no-cache` / `no-store`. */
    readonly mayForceRevalidation: boolean;
    /** Whether a page is read by a signed URL only. Page tables only. */
    readonly signedUrls: boolean;
  };
  /** What differs for some pages, by their paths; the first that matches. Page tables only. */
  readonly rules: readonly PolicyRule[];
}

export interface PolicyRule {
  /** Globs of paths, any of which will do. */
  readonly match: readonly string[];
  /** Passed on as it comes, never stored. */
  readonly isPass: boolean;
  /** What differs from the policy which the rule belongs to. */
  readonly override: SettingsOverride;
}

/** What a policy file may say: any part of any section. */
export type SettingsOverride = {
  readonly [Section in keyof PolicySettings]?: Section extends 'name' | 'negative' | 'rules'
    ? PolicySettings[Section] | undefined
    : Section extends 'key'
      ? KeyOverride | undefined
      : Partial<PolicySettings[Section]> | undefined;
};

type KeyOverride = Partial<Omit<PolicySettings['key'], 'query'>> & {
  readonly query?: Partial<PolicySettings['key']['query']> | undefined;
};

/** Hooks of a policy written in code; each is pure and replaces one default. */
export interface PolicyHooks {
  readonly mayLookup?: ((request: RequestDirectives) => boolean) | undefined;
  readonly storable?: ((reply: ReplyFacts) => boolean) | undefined;
  /** `undefined` falls back to the default rule. */
  readonly freshnessLifetime?: ((reply: ReplyFacts) => DurationMs | undefined) | undefined;
  readonly staleAllowance?:
    | ((
        entry: EntryFacts,
      ) => { readonly whileRevalidate: DurationMs; readonly ifError: DurationMs } | undefined)
    | undefined;
  /**
   * Whether this stale entry may answer while the origin is asked behind; where it is given, it
   * decides instead of every window.
   */
  readonly staleWhileRevalidate?: ((entry: EntryFacts) => boolean) | undefined;
  readonly groupsOf?: ((reply: ReplyFacts) => readonly string[]) | undefined;
  readonly shareable?: ((reply: ReplyFacts) => boolean) | undefined;
  readonly cacheKey?: ((url: string) => string) | undefined;
  readonly variantOf?: ((headers: ReadonlyMap<string, string>) => string) | undefined;
}

export interface CachePolicy {
  readonly settings: PolicySettings;
  readonly hooks: PolicyHooks;
}
