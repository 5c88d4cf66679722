/**
 * The records that an application brings along: reads its seed files into records of tables, says
 * what is wrong with them before anything is started, and stores them when the tables are open.
 *
 * A file is a list of records of the table it is called after (JSON, YAML, NDJSON, CSV), or says
 * itself whose they are: `{ database, table, records }`.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from './base/clock.ts';
import { asNodeError } from './base/errors.ts';
import type { Application } from './config/application.ts';
import { LIMITS } from './config/limits.ts';
import type { SeedFile } from './config/seed-files.ts';
import { plainYaml } from './config/yaml-file.ts';
import type { Log } from './observe/log.ts';
import { CSV_FORMAT } from './protocols/rest/formats/csv.ts';
import { NDJSON_FORMAT } from './protocols/rest/formats/ndjson.ts';
import type { TableDefinition } from './schema/definition.ts';
import { checkRecordId, isKeyProblem } from './schema/key.ts';
import { suggest } from './schema/nearest.ts';
import { type Problem, ProblemList } from './schema/problem.ts';
import { compileRecordCheck, formatRecordProblem } from './schema/record.ts';
import type { JsonRecord } from './table/record-draft.ts';
import { seedRecords } from './table/seed-state.ts';
import type { StoreReader, StoreWriter } from './table/store-port.ts';
import type { Tables } from './table/tables.ts';

export interface Seed {
  readonly file: string;
  readonly definition: TableDefinition;
  readonly records: readonly JsonRecord[];
}

export interface ReadSeeds {
  readonly seeds: readonly Seed[];
  readonly problems: readonly Problem[];
}

/** Reads and checks every seed file of an application. */
export function readSeeds(application: Application): ReadSeeds {
  const problems = new ProblemList();
  const seeds = application.seeds.flatMap((file) => readSeed(file, application, problems) ?? []);
  return { seeds, problems: problems.sorted() };
}

function readSeed(
  { path, file, table }: SeedFile,
  application: Application,
  problems: ProblemList,
): Seed | undefined {
  const place = { file, line: 0, column: 0 };
  let named: Named | undefined;
  let definition: TableDefinition | undefined;
  try {
    const bytes = readFileSync(path);
    if (bytes.length > LIMITS.seedFileBytesMax) {
      const cure = 'split it, or use millrace import';
      problems.add(place, `has more than ${LIMITS.seedFileBytesMax} bytes`, { cure });
      return undefined;
    }
    named = namedRecords(bytes, file, problems);
    definition = tableOf(named ?? {}, table, application, place, problems);
    if (definition === undefined) return undefined;
    const records = named?.records ?? rowsOf(bytes, file, definition);
    return checkRecords(records, definition, application, place, problems)
      ? { file, definition, records }
      : undefined;
  } catch (error) {
    problems.add(place, asNodeError(error).message);
    return undefined;
  }
}

interface Named {
  readonly database?: string | undefined;
  readonly table?: string | undefined;
  readonly records?: readonly JsonRecord[] | undefined;
}

/** What JSON and YAML say; `undefined` for files of rows. */
function namedRecords(bytes: Buffer, file: string, problems: ProblemList): Named | undefined {
  if (/\.(ndjson|jsonl|csv)$/.test(file)) return undefined;
  const text = bytes.toString('utf8');
  const value = file.endsWith('.json') ? JSON.parse(text) : plainYaml(text, file, problems);
  if (Array.isArray(value)) return { records: value };
  if (typeof value === 'object' && value !== null && Array.isArray(value.records)) return value;
  problems.add({ file, line: 0, column: 0 }, 'is no list of records', {
    cure: 'write [ {…}, … ], or { table: Name, records: [ … ] }',
  });
  return { records: [] };
}

function rowsOf(bytes: Buffer, file: string, definition: TableDefinition): readonly JsonRecord[] {
  const format = file.endsWith('.csv') ? CSV_FORMAT : NDJSON_FORMAT;
  return format.decodeRecords(bytes, { depthMax: LIMITS.jsonDepthMax, definition }).records;
}

function tableOf(
  { database, table }: Named,
  otherwise: string,
  application: Application,
  place: Parameters<ProblemList['add']>[0],
  problems: ProblemList,
): TableDefinition | undefined {
  const name = table ?? otherwise;
  const { tables } = application.schema;
  const found = tables.find((one) => {
    const isNamed = one.typeName === name || one.name === name || one.name.endsWith(`.${name}`);
    return isNamed && (database === undefined || one.database === database);
  });
  if (found === undefined) {
    const known = tables.map(({ typeName }) => typeName);
    problems.add(place, `there is no table ${name}`, { cure: suggest(name, new Set(known)) });
    return undefined;
  }
  if (found.sourcedFrom === undefined && found.pages === undefined) return found;
  problems.add(place, `${name} is a cache: its origin says what there is`, {
    cure: 'seed a table without an origin',
  });
  return undefined;
}

function checkRecords(
  records: readonly JsonRecord[],
  definition: TableDefinition,
  application: Application,
  place: Parameters<ProblemList['add']>[0],
  problems: ProblemList,
): boolean {
  const check = compileRecordCheck(definition, application.schema.objects);
  let isSound = true;
  for (const [index, record] of records.entries()) {
    const problem = recordProblem(record, definition, check);
    if (problem === undefined) continue;
    isSound = false;
    problems.add(place, `record ${index + 1}: ${problem}`);
  }
  return isSound;
}

function recordProblem(
  record: unknown,
  definition: TableDefinition,
  check: ReturnType<typeof compileRecordCheck>,
): string | undefined {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    return 'is no record but another value';
  }
  const { primaryKey } = definition;
  const given = (record as JsonRecord)[primaryKey];
  if (given === undefined) return `${primaryKey}: a seed names its key, by which it is known again`;
  const id = checkRecordId(definition, given);
  if (isKeyProblem(id)) return `${primaryKey}: ${id.message}`;
  const problem = check(record as JsonRecord, 'put');
  return problem && formatRecordProblem(problem);
}

export interface SeedingParts {
  readonly tables: Tables;
  readonly reader: StoreReader;
  readonly writer: StoreWriter;
  readonly clock: Clock;
  readonly log: Log;
}

/** Stores what is not there yet. What cannot be stored is told to the log: the node starts. */
export async function loadSeeds(seeds: readonly Seed[], parts: SeedingParts): Promise<void> {
  const { tables, reader, writer, clock, log } = parts;
  for (const { file, definition, records } of seeds) {
    const table = tables.get(definition.name);
    if (table === undefined) continue;
    try {
      const { refused, ...counts } = await seedRecords(records, { table, reader, writer, clock });
      log.info({ file, table: definition.typeName, ...counts }, 'seed records are there');
      for (const { id, reason } of refused.slice(0, REFUSED_MAX)) {
        log.warn({ file, table: definition.typeName, id, reason }, 'a seed was not stored');
      }
    } catch (error) {
      log.error({ file, error: asNodeError(error).message }, 'a seed file was not loaded');
    }
  }
}

/** Lines of the log about one file. */
const REFUSED_MAX = 20;
