/**
 * An application with its code: loads `resources/`, whose classes may extend tables that are not
 * open yet and may make a table a cache over a source of their own. So it comes before the store
 * is opened, on every thread, and is joined to the tables once they are there.
 */
import { must } from './base/assert.ts';
import { deltaSeconds } from './base/brands.ts';
import { NodeError } from './base/errors.ts';
import type { PolicyHooks } from './cache/policy.ts';
import type { Application } from './config/application.ts';
import { adoptVariables } from './config/config.ts';
import type { Log } from './observe/log.ts';
import type { OriginDefinition } from './origin/definition.ts';
import { bindTables } from './resource/application-scope.ts';
import { type ApplicationTable, applicationTable } from './resource/application-table.ts';
import { placeInCode } from './resource/code-place.ts';
import { guardExit, killProcess } from './resource/exit-guard.ts';
import { compileExpressions } from './resource/expressions.ts';
import { type LoadedResources, loadResources } from './resource/load-resources.ts';
import type { RegisteredSource } from './resource/registrations.ts';
import { staleHook } from './resource/stale-hook.ts';
import { TableAccess } from './resource/table-access.ts';
import { threadScope } from './resource/thread-scope.ts';
import type { ComputedAttributes } from './schema/computed.ts';
import type { TableDefinition } from './schema/definition.ts';
import { formatProblem, type Problem, ProblemList } from './schema/problem.ts';
import type { Tables } from './table/tables.ts';

export interface PreparedApplication {
  /** With the sources which its code gave to tables. */
  readonly application: Application;
  readonly resources: LoadedResources;
  /** Origins which the application's code defined, by the names that its tables now have. */
  readonly codeOrigins: ReadonlyMap<string, OriginDefinition>;
  /** What computes the attributes that are not stored. */
  readonly computed: ComputedAttributes;
  /** `allowStaleWhileRevalidate` of a class over that table. */
  staleHook(definition: TableDefinition): PolicyHooks['staleWhileRevalidate'];
  /** Makes `tables` usable by the application's code. */
  open(tables: Tables): void;
}

/** Throws `APPLICATION_INVALID` with `details.problems`. */
export async function prepareApplication(
  application: Application,
  log?: Log | undefined,
): Promise<PreparedApplication> {
  let opened: Tables | undefined;
  adoptVariables(application.variables);
  guardExit(application.folder);
  const find = (definition: TableDefinition) => () => {
    if (opened === undefined) throw notOpen(definition);
    return must(opened.get(definition.name), `table ${definition.name}`);
  };
  const expressionProblems = new ProblemList();
  const computed = compileExpressions(application.schema.tables, expressionProblems);
  if (!expressionProblems.isEmpty) throw invalid(expressionProblems.sorted());
  bindClasses(application.schema.tables, find);
  threadScope().writeLog = log && ((level, facts, text) => log[level](facts, text));
  const { folder } = application;
  const { loaded, problems } = await loadResources(application.resources, folder);
  if (loaded === undefined) throw invalid(problems);
  for (const { table, attribute, compute } of loaded.computed) {
    computed.set(table, attribute, compute);
  }
  const codeOrigins = new Map(loaded.sources.map((one) => [nameOf(one), one.origin]));
  return {
    application: withSources(application, loaded.sources),
    resources: loaded,
    codeOrigins,
    computed,
    staleHook(definition) {
      const own = threadScope().findTable?.(definition.typeName, definition.database);
      const types = loaded.resources.map(({ type }) => type);
      return staleHook([...types, ...(own === undefined ? [] : [own as never])], definition);
    },
    open(tables) {
      opened = tables;
    },
  };
}

function bindClasses(
  definitions: readonly TableDefinition[],
  find: (definition: TableDefinition) => () => ReturnType<TableAccess['table']>,
): void {
  const classes = definitions.map((definition): readonly [TableDefinition, ApplicationTable] => [
    definition,
    applicationTable(new TableAccess(definition, find(definition))),
  ]);
  bindTables(
    (name, database) =>
      classes.find(
        ([one]) =>
          (database === undefined || one.database === database) &&
          (one.typeName === name || one.name === name),
      )?.[1],
  );
}

const nameOf = ({ typeName }: RegisteredSource): string => `code:${typeName}`;

function withSources(application: Application, sources: readonly RegisteredSource[]): Application {
  if (sources.length === 0) return application;
  const { schema } = application;
  const tables = schema.tables.map((table) => {
    const own = sources.filter((one) => one.typeName === table.typeName);
    const [source, second] = own;
    if (source === undefined) return table;
    if (second !== undefined || table.sourcedFrom !== undefined) throw twice(table);
    return sourced(table, source);
  });
  return { ...application, schema: { ...schema, tables } };
}

function sourced(table: TableDefinition, source: RegisteredSource): TableDefinition {
  const { origin, options } = source;
  const writes = origin.put !== undefined || origin.patch !== undefined;
  const seconds = (given: number | undefined, otherwise: TableDefinition['expiration']) =>
    given === undefined ? otherwise : deltaSeconds(given);
  return {
    ...table,
    sourcedFrom: { origin: nameOf(source), write: writes ? 'through' : 'none' },
    expiration: seconds(options.expiration, table.expiration),
    eviction: seconds(options.eviction, table.eviction),
    scanInterval: seconds(options.scanInterval, table.scanInterval),
  };
}

function twice({ typeName, place }: TableDefinition): NodeError {
  const message = `${typeName} is given a source twice`;
  const cure = 'keep either @sourcedFrom or one call of sourcedFrom()';
  return invalid([{ ...place, message, cure }]);
}

const invalid = (problems: readonly Problem[]): NodeError =>
  new NodeError('APPLICATION_INVALID', problems.map(formatProblem).join('\n'), {
    details: { problems },
  });

const notOpen = ({ typeName }: TableDefinition): Error =>
  new Error(
    `tables.${typeName} is used before the node has opened its tables: use it inside a function ` +
      'that is called later (get, a resource method), not while the module is being loaded',
  );

/**
 * Code that fails outside of any request (a promise nobody awaits, a timer) is logged with its
 * place instead of ending the process. Anything that did not come from the application's files does
 * end it, as before. Returns what stops this.
 */
export function catchCodeFaults(folder: string, log: Log): () => void {
  const caught = (error: unknown): void => {
    const place = placeInCode(error, folder);
    // Our own code never rejects with anything but an Error.
    if (place === undefined && error instanceof Error) {
      log.error({ stack: error.stack }, 'the node broke one of its own assumptions');
      killProcess();
    }
    const stack = error instanceof Error ? error.stack : String(error);
    log.error({ ...place, stack }, 'code of the application failed where nobody waits for it');
  };
  process.on('uncaughtException', caught);
  process.on('unhandledRejection', caught);
  return () => {
    process.off('uncaughtException', caught);
    process.off('unhandledRejection', caught);
  };
}
