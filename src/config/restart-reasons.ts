/**
 * What of newly read files cannot be taken over by a node that runs: tables (their stores and
 * indexes are opened at the start), application code, and the keys of `millrace.yaml` which no part
 * follows. Says names, never values: some are secrets.
 */
import type { TableDefinition } from '../schema/definition.ts';
import { differingPaths, plainText } from './differences.ts';
import type { Configuration } from './reload.ts';

/** `follows`: keys of `millrace.yaml` that are taken over, whole trees by their first names. */
export function restartReasons(
  running: Configuration,
  next: Configuration,
  follows: readonly string[],
): readonly string[] {
  return [
    ...settingReasons(running, next, follows),
    ...tableReasons(running.application.schema.tables, next.application.schema.tables),
    ...otherReasons(running, next),
  ];
}

function settingReasons(
  running: Configuration,
  next: Configuration,
  follows: readonly string[],
): string[] {
  const isFollowed = (path: string) =>
    follows.some((key) => path === key || path.startsWith(`${key}.`));
  return differingPaths(running.config, next.config)
    .filter(({ path }) => !isFollowed(path))
    .map(({ path }) => `millrace.yaml: ${path}`);
}

/** `@cache` is the policies' to follow. */
const withoutCache = ({ cache: _, ...definition }: TableDefinition): string =>
  plainText({ ...definition, pages: { ...definition.pages, policy: undefined } });

function tableReasons(
  running: readonly TableDefinition[],
  next: readonly TableDefinition[],
): string[] {
  const named = (list: readonly TableDefinition[]) =>
    new Map(list.map((one) => [one.name as string, one]));
  const before = named(running);
  const after = named(next);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [old, renewed] = [before.get(name), after.get(name)];
    if (old === undefined) return [`schema.graphql: the table ${name} is new`];
    if (renewed === undefined) return [`schema.graphql: the table ${name} is gone`];
    if (withoutCache(old) === withoutCache(renewed)) return [];
    return [`schema.graphql:${renewed.place.line}: the table ${name} is declared differently`];
  });
}

function otherReasons({ application: old }: Configuration, next: Configuration): string[] {
  const { application } = next;
  const reasons: string[] = [];
  if (plainText(old.schema.objects) !== plainText(application.schema.objects)) {
    reasons.push('schema.graphql: the types of nested objects');
  }
  if (plainText(old.resources) !== plainText(application.resources)) {
    reasons.push('resources: there are others');
  }
  if (old.publicFolder !== application.publicFolder) reasons.push('public: the folder');
  return reasons;
}
