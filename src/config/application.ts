/**
 * An application's folder → what it declares, or everything that is wrong with it. Reads files and
 * judges them together: origins and policies that the schema names must exist. Code (`.ts`, `.js`)
 * is listed, not loaded; `millrace.yaml` is read by `loadConfig`, which also knows flags.
 *
 * Every file but code is optional: an empty folder is an application without tables.
 */
import { join, resolve } from 'node:path';
import type { TableName } from '../base/brands.ts';
import { DEFAULT_SETTINGS } from '../cache/default-policy.ts';
import type { PolicySettings } from '../cache/policy.ts';
import type { Schema, SourcePlace, TableDefinition } from '../schema/definition.ts';
import { nearest, suggest } from '../schema/nearest.ts';
import { parseSchemas } from '../schema/parse-schema.ts';
import { type Problem, ProblemList } from '../schema/problem.ts';
import { isFolder, listFiles, type NamedFile, readText, wholeFile } from './application-files.ts';
import { type Component, readComponent } from './component-file.ts';
import { type Environment, readOptional } from './config.ts';
import { applicationEnvironment, type Variables } from './env-file.ts';
import { type Extension, readExtensions } from './extensions.ts';
import { type OriginSettings, parseOrigin } from './origin-file.ts';
import { applyOverrides, type Overrides, parsePolicy } from './policy-file.ts';
import { type FilterFault, parseRoles, type Roles } from './roles-file.ts';
import { type SeedFile, seedFiles } from './seed-files.ts';
import type { Substitutes } from './substitute.ts';

export type OriginSource =
  | { readonly kind: 'settings'; readonly settings: OriginSettings }
  | { readonly kind: 'code'; readonly file: string };

export type PolicySource =
  | { readonly kind: 'settings'; readonly settings: PolicySettings }
  | { readonly kind: 'code'; readonly file: string };

/** The policy of one table. Settings already contain the overrides of `@cache`. */
export type TablePolicy =
  | { readonly kind: 'settings'; readonly settings: PolicySettings }
  | {
      readonly kind: 'code';
      readonly name: string;
      readonly file: string;
      /** To be put on top with `applyOverrides` once the code has been loaded. */
      readonly overrides: Overrides;
    };

export interface Application {
  /** Absolute, as are all paths of files below. */
  readonly folder: string;
  readonly schema: Schema;
  readonly origins: ReadonlyMap<string, OriginSource>;
  /** The application's own policies. */
  readonly policies: ReadonlyMap<string, PolicySource>;
  /** One for every table of the schema. */
  readonly tablePolicies: ReadonlyMap<TableName, TablePolicy>;
  readonly resources: readonly string[];
  /** Files of records that are to be there. */
  readonly seeds: readonly SeedFile[];
  readonly roles: Roles;
  readonly publicFolder: string | undefined;
  /** What `.env` adds to the environment of the process. */
  readonly variables: Variables;
}

export interface ApplicationOptions {
  readonly env?: Environment | undefined;
  /** Where the policies that come with Millrace are. */
  readonly shippedPolicies?: string | undefined;
  /** What is wrong with the conditions of a grant; queries are not read here. */
  readonly filterFault?: FilterFault | undefined;
}

export type ReadApplication =
  | { readonly application: Application; readonly problems?: undefined }
  | { readonly problems: readonly Problem[]; readonly application?: undefined };

export const SCHEMA_FILE = 'schema.graphql';
const DEFAULT_POLICY_NAME = 'default';

interface Reading {
  readonly folder: string;
  readonly substitutes: Substitutes;
  readonly problems: ProblemList;
}

export function readApplication(folder: string, options: ApplicationOptions = {}): ReadApplication {
  const problems = new ProblemList();
  const root = resolve(folder);
  if (!isFolder(root)) {
    problems.add(wholeFile(folder), 'is no folder', { cure: 'name the folder of an application' });
    return { problems: problems.sorted() };
  }
  const environment = applicationEnvironment(root, options.env ?? process.env);
  problems.addAll(environment.problems);
  const substitutes: Substitutes = {
    env: environment.env,
    readFile: (path) => readOptional(resolve(root, path)),
  };
  const reading: Reading = { folder: root, substitutes, problems };
  const component = readComponent(root, substitutes, problems);
  const schema = readSchema(reading, component);
  const extensions = readExtensions(root, problems);
  const origins = readOrigins(reading, extensions);
  const policies = readPolicies(reading);
  const roles = readRoles(reading, schema, options.filterFault);
  const brought = extensions.flatMap((one) => one.resources.map(({ path }) => path));
  const resources = [...resourceFiles(reading, component), ...brought];
  const tables = schema?.tables ?? [];
  for (const table of tables) checkOrigin(table, origins, problems);
  const catalogue = new PolicyCatalogue(policies, options.shippedPolicies, extensions, reading);
  const tablePolicies = new Map<TableName, TablePolicy>();
  for (const table of tables) {
    const policy = catalogue.policyOf(table);
    if (policy !== undefined) tablePolicies.set(table.name, policy);
  }
  if (!problems.isEmpty || schema === undefined) return { problems: problems.sorted() };
  const publicFolder = join(root, component === undefined ? 'public' : staticOf(component));
  return {
    application: {
      folder: root,
      schema,
      origins: origins.usable,
      policies: policies.usable,
      tablePolicies,
      resources,
      seeds: seedFiles(root, component),
      roles,
      publicFolder: isFolder(publicFolder) ? publicFolder : undefined,
      variables: environment.added,
    },
  };
}

/** Without static files of its own an application may still have a folder `public`. */
const staticOf = ({ staticFolder }: Component): string => staticFolder ?? 'public';

function resourceFiles(
  { folder, problems }: Reading,
  component: Component | undefined,
): readonly string[] {
  if (component !== undefined) return component.resourceFiles.map((file) => join(folder, file));
  const listed = [
    ...listFiles(folder, 'resources', problems),
    // Where applications of another house keep all of theirs.
    ...listFiles(folder, '.', new ProblemList()).filter((each) => each.name === 'resources'),
  ];
  return listed.filter((each) => each.kind === 'code').map((each) => each.path);
}

function readSchema(
  { folder, problems }: Reading,
  component: Component | undefined,
): Schema | undefined {
  const sources = (component?.schemaFiles ?? [SCHEMA_FILE]).flatMap((file) => {
    const text = readText(join(folder, file), file, problems);
    return text === undefined ? [] : [{ text, file }];
  });
  const parsed = parseSchemas(sources);
  if (parsed.problems !== undefined) problems.addAll(parsed.problems);
  return parsed.schema;
}

/** `names` has broken ones too: a name that exists but cannot be read is not also unknown. */
interface Declared<T> {
  readonly names: ReadonlySet<string>;
  readonly usable: ReadonlyMap<string, T>;
}

function readOrigins(
  { folder, substitutes, problems }: Reading,
  extensions: readonly Extension[],
): Declared<OriginSource> {
  const kinds = new Map(
    extensions.flatMap((one) => one.kinds.map(({ name, path }) => [name, path] as const)),
  );
  const files = listFiles(folder, 'origins', problems);
  const usable = new Map<string, OriginSource>();
  for (const { name, kind, path, file } of files) {
    if (kind === 'code') {
      usable.set(name, { kind, file: path });
      continue;
    }
    const text = readText(path, file, problems) ?? '';
    const settings = parseOrigin({ name, text, file }, substitutes, problems, kinds);
    if (settings !== undefined) usable.set(name, { kind: 'settings', settings });
  }
  return { names: new Set(files.map((each) => each.name)), usable };
}

function readPolicies(reading: Reading): Declared<PolicySource> {
  const files = listFiles(reading.folder, 'cache-policies', reading.problems);
  const usable = new Map<string, PolicySource>();
  const own = files.find((each) => each.name === DEFAULT_POLICY_NAME && each.kind === 'yaml');
  // The application's own default is read first: its other policies inherit from it.
  const base = own === undefined ? DEFAULT_SETTINGS : readPolicy(own, DEFAULT_SETTINGS, reading);
  for (const each of files) {
    if (each.kind === 'code') usable.set(each.name, { kind: 'code', file: each.path });
    else {
      const settings = each === own ? base : readPolicy(each, base, reading);
      usable.set(each.name, { kind: 'settings', settings });
    }
  }
  return { names: new Set(files.map((each) => each.name)), usable };
}

function readPolicy(source: NamedFile, base: PolicySettings, reading: Reading): PolicySettings {
  const text = readText(source.path, source.file, reading.problems) ?? '';
  return parsePolicy({ ...source, text }, base, reading.substitutes, reading.problems);
}

function readRoles(
  reading: Reading,
  schema: Schema | undefined,
  filterFault: FilterFault | undefined,
): Roles {
  const file = 'roles.yaml';
  const text = readText(join(reading.folder, file), file, reading.problems);
  if (text === undefined) return new Map();
  const known = { schema, filterFault };
  return parseRoles({ text, file }, known, reading.substitutes, reading.problems);
}

function checkOrigin(
  table: TableDefinition,
  origins: Declared<OriginSource>,
  problems: ProblemList,
): void {
  for (const use of [table.sourcedFrom, table.pages]) {
    if (use === undefined) continue;
    const place = use.place ?? table.place;
    if (!origins.names.has(use.origin)) {
      const near = nearest(use.origin, origins.names);
      problems.add(place, `${table.typeName} uses the unknown origin ${use.origin}`, {
        cause: origins.names.size === 0 ? 'the application has no origins' : undefined,
        cure: near === undefined ? `write origins/${use.origin}.yaml` : `did you mean ${near}?`,
      });
    }
    const source = origins.usable.get(use.origin);
    if (use !== table.pages || source?.kind !== 'settings') continue;
    if (source.settings.kind !== 'http') {
      problems.add(place, `pages cannot come from an origin of kind ${source.settings.kind}`, {
        cure: `make ${use.origin} an origin of kind http`,
      });
    }
  }
}

function overridesOf({ cache, place }: TableDefinition): Overrides {
  return { overrides: cache?.overrides ?? {}, place: cache?.place ?? place, places: cache?.places };
}

/** The application's own, those of extensions, those of Millrace; the latter two when named. */
class PolicyCatalogue {
  readonly #own: Declared<PolicySource>;
  readonly #shipped: ReadonlyMap<string, NamedFile>;
  readonly #reading: Reading;
  readonly #read = new Map<string, PolicySource>();

  constructor(
    own: Declared<PolicySource>,
    shippedFolder: string | undefined,
    extensions: readonly Extension[],
    reading: Reading,
  ) {
    this.#own = own;
    this.#reading = reading;
    const shipped =
      shippedFolder === undefined ? [] : listFiles(shippedFolder, '.', reading.problems);
    const brought = extensions.flatMap((one) => one.policies);
    this.#shipped = new Map([...shipped, ...brought].map((each) => [each.name, each]));
  }

  /** The policy that a table names, or `default`; `undefined` when it is unknown (reported). */
  policyOf(table: TableDefinition): TablePolicy | undefined {
    const named = table.pages?.policy ?? table.cache?.policy;
    const name = named ?? DEFAULT_POLICY_NAME;
    const place = (table.cache?.policy === undefined ? table.pages : table.cache)?.place;
    const source = this.#find(name);
    if (source === undefined) {
      if (!this.#own.names.has(name)) this.#reportUnknown(table, name, place ?? table.place);
      return undefined;
    }
    const overrides: Overrides = overridesOf(table);
    if (source.kind === 'code') {
      // Without the code the result is not known, but what is written can be judged.
      applyOverrides(DEFAULT_SETTINGS, overrides, this.#reading.problems);
      return { kind: 'code', name, file: source.file, overrides };
    }
    if (Object.keys(overrides.overrides).length === 0) return source;
    const settings = applyOverrides(source.settings, overrides, this.#reading.problems);
    return { kind: 'settings', settings };
  }

  #find(name: string): PolicySource | undefined {
    const own = this.#own.usable.get(name) ?? this.#read.get(name);
    if (own !== undefined) return own;
    const file = this.#shipped.get(name);
    const source: PolicySource | undefined =
      name === DEFAULT_POLICY_NAME
        ? { kind: 'settings', settings: DEFAULT_SETTINGS }
        : file === undefined
          ? undefined
          : file.kind === 'code'
            ? { kind: 'code', file: file.path }
            : { kind: 'settings', settings: readPolicy(file, DEFAULT_SETTINGS, this.#reading) };
    if (source !== undefined) this.#read.set(name, source);
    return source;
  }

  #reportUnknown(table: TableDefinition, name: string, place: SourcePlace): void {
    const names = [...this.#own.names, DEFAULT_POLICY_NAME, ...this.#shipped.keys()];
    this.#reading.problems.add(place, `${table.typeName} uses the unknown cache policy ${name}`, {
      cure: suggest(name, new Set(names)) ?? `write cache-policies/${name}.yaml`,
    });
  }
}
