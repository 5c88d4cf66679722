/**
 * What the matrices of access declare: tables, rows, roles, and who asks. What follows from it is
 * worked out naively in `naive-access.ts`, and compared with a real node's answers.
 */
import type { RoleFile, Row } from './naive-access.ts';

export const ATTRIBUTES = ['desk', 'level', 'secret', 'title'] as const;
export const TABLES = ['Story', 'Note'] as const;
export const tableType = (name: string) => `
type ${name} @table @export {
  id: ID @primaryKey
  desk: String @indexed
  level: Int @indexed
  secret: String @indexed
  title: String
}`;
export const ROWS: readonly Row[] = [
  { id: 'news/1', desk: 'news', level: 1, secret: 'a', title: 'A' },
  { id: 'news/x/2', desk: 'news', level: 3, secret: 'b', title: 'B' },
  { id: 'sport/1', desk: 'sport', level: 1, secret: 'a', title: 'C' },
  { id: 'sport/2', desk: 'sport', level: 3, secret: 'c', title: 'D' },
  { id: 'else', desk: 'none', level: 2, secret: 'd', title: 'E' },
];
const RECORD_OPERATIONS = ['insert', 'update', 'delete', 'search_by_id', 'search_by_value'];
const ALL = { read: true, subscribe: true, insert: true, update: true, delete: true };
const HIDES = { secret: { read: false, insert: false, update: false } };
export const ROLES: RoleFile = {
  anonymous: {
    tables: { Note: { read: true, subscribe: true, filter: 'level=le=1', attributes: HIDES } },
  },
  whole: { operations: RECORD_OPERATIONS, tables: { Story: ALL } },
  reader: { operations: RECORD_OPERATIONS, tables: { '*': { read: true, subscribe: true } } },
  desk: {
    operations: RECORD_OPERATIONS,
    tables: {
      Story: { ...ALL, filter: `desk=\${user.desk}` },
      Note: { update: true, filter: 'level=le=2' },
    },
  },
  masked: { operations: RECORD_OPERATIONS, tables: { '*': { ...ALL, attributes: HIDES } } },
  listed: {
    operations: RECORD_OPERATIONS,
    tables: {
      Story: {
        ...ALL,
        delete: false,
        attributes: { title: { read: true, insert: true, update: true }, desk: { read: true } },
      },
    },
  },
  keyed: {
    tables: {
      Story: { ...ALL, keys: ['news/#'], deny: { read: ['news/x/#'], update: ['news/1'] } },
    },
  },
  writer: { tables: { Story: { insert: true, update: true, filter: 'level=le=2' } } },
  nothing: { operations: RECORD_OPERATIONS, tables: {} },
};
export const ASKERS: readonly (readonly [
  string,
  readonly string[],
  Readonly<Record<string, string>>,
])[] = [
  ['anonymous', [], {}],
  ['role=whole', ['whole'], {}],
  ['role=reader', ['reader'], {}],
  ['role=desk&desk=sport', ['desk'], { desk: 'sport' }],
  ['role=desk', ['desk'], {}],
  ['role=masked', ['masked'], {}],
  ['role=listed', ['listed'], {}],
  ['role=keyed', ['keyed'], {}],
  ['role=writer', ['writer'], {}],
  ['role=nothing', ['nothing'], {}],
  ['role=desk,masked&desk=news', ['desk', 'masked'], { desk: 'news' }],
  ['role=keyed,listed', ['keyed', 'listed'], {}],
];
