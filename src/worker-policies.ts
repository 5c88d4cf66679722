/**
 * The policies of one thread's tables: from settings or code, with what `@cache` and `@table` say
 * on top, and kept up with their files. Reads under way end by the policy they began with.
 */
import { must } from './base/assert.ts';
import type { TableName } from './base/brands.ts';
import { DEFAULT_POLICY, withTableTimes } from './cache/default-policy.ts';
import type { CachePolicy, PolicyHooks } from './cache/policy.ts';
import type { Application, TablePolicy } from './config/application.ts';
import { differences } from './config/differences.ts';
import { applyOverrides } from './config/policy-file.ts';
import type { Configuration, PreparedPart, ReloadPart } from './config/reload.ts';
import { hasChanged, type Loaded, loadPolicy } from './resource/load-code.ts';
import type { TableDefinition } from './schema/definition.ts';
import { ProblemList } from './schema/problem.ts';
import type { Tables } from './table/tables.ts';

type FindStaleHook = (definition: TableDefinition) => PolicyHooks['staleWhileRevalidate'];

interface OpenedPolicy {
  readonly policy: CachePolicy;
  readonly code: Loaded<CachePolicy> | undefined;
}

export class ThreadPolicies implements ReloadPart {
  readonly name = 'policies';
  readonly #opened = new Map<TableName, OpenedPolicy>();
  readonly #staleHook: FindStaleHook;

  private constructor(staleHook: FindStaleHook) {
    this.#staleHook = staleHook;
  }

  /** Throws the errors of the policies' code. */
  static async open(application: Application, staleHook: FindStaleHook): Promise<ThreadPolicies> {
    const policies = new ThreadPolicies(staleHook);
    for (const definition of application.schema.tables) {
      const source = application.tablePolicies.get(definition.name);
      policies.#opened.set(definition.name, await policies.#open(definition, source, undefined));
    }
    return policies;
  }

  of(table: TableName): CachePolicy {
    return must(this.#opened.get(table), `policy of ${table}`).policy;
  }

  /** The tables that follow; a part without them prepares nothing. */
  tables: Tables | undefined;

  async prepare({ application }: Configuration): Promise<PreparedPart> {
    const renewed = new Map<TableName, OpenedPolicy>();
    const changes: string[] = [];
    for (const table of this.tables?.all() ?? []) {
      const { definition } = table;
      const declared = application.schema.tables.find(({ name }) => name === definition.name);
      const source = application.tablePolicies.get(definition.name);
      if (declared === undefined || source === undefined) continue;
      const old = must(this.#opened.get(definition.name), `policy of ${definition.name}`);
      const opened = await this.#open({ ...definition, cache: declared.cache }, source, old.code);
      const found = differences(old.policy.settings, opened.policy.settings);
      if (opened.code?.fingerprint !== old.code?.fingerprint) found.push('code');
      if (found.length === 0) continue;
      renewed.set(definition.name, opened);
      changes.push(...found.map((change) => `policy of ${definition.typeName}: ${change}`));
    }
    return { changes, apply: () => this.#use(renewed) };
  }

  /** What a class says of stale records of its table stands above what the policy does. */
  async #open(
    definition: TableDefinition,
    source: TablePolicy | undefined,
    known: Loaded<CachePolicy> | undefined,
  ): Promise<OpenedPolicy> {
    const opened = await openPolicy(definition, source, known);
    const hook = definition.sourcedFrom === undefined ? undefined : this.#staleHook(definition);
    if (hook === undefined) return opened;
    const { settings, hooks } = opened.policy;
    return { ...opened, policy: { settings, hooks: { ...hooks, staleWhileRevalidate: hook } } };
  }

  #use(renewed: ReadonlyMap<TableName, OpenedPolicy>): void {
    for (const table of this.tables?.all() ?? []) {
      const opened = renewed.get(table.name);
      if (opened === undefined) continue;
      this.#opened.set(table.name, opened);
      table.usePolicy(opened.policy);
    }
  }
}

/** `known`: the code that runs, which is kept while its files say the same. */
async function openPolicy(
  definition: TableDefinition,
  source: TablePolicy | undefined,
  known: Loaded<CachePolicy> | undefined,
): Promise<OpenedPolicy> {
  const { policy, code } = await basePolicy(source, known);
  const isCache = definition.sourcedFrom !== undefined;
  return { policy: isCache ? withDeclaredTimes(policy, definition) : policy, code };
}

const NO_HOOKS = Object.freeze({});

async function basePolicy(
  source: TablePolicy | undefined,
  known: Loaded<CachePolicy> | undefined,
): Promise<OpenedPolicy> {
  if (source === undefined) return { policy: DEFAULT_POLICY, code: undefined };
  if (source.kind === 'settings') {
    return { policy: { settings: source.settings, hooks: NO_HOOKS }, code: undefined };
  }
  const isSame = known !== undefined && !(await hasChanged(known, source.file));
  const code = isSame ? known : await loadPolicy(source.file);
  // What is written in `@cache` was judged when the schema was read.
  const settings = applyOverrides(code.value.settings, source.overrides, new ProblemList());
  return { policy: { settings, hooks: code.value.hooks }, code };
}

/** `@table(expiration, eviction)` hold where `@cache` does not say the same thing itself. */
function withDeclaredTimes(policy: CachePolicy, definition: TableDefinition): CachePolicy {
  const said = definition.cache?.overrides ?? {};
  const { expiration, eviction } = definition;
  return withTableTimes(policy, {
    expiration: 'freshness' in said ? undefined : expiration,
    eviction: 'retention' in said ? undefined : eviction,
  });
}
