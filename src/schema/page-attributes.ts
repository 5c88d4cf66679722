/**
 * What can be asked of stored pages: the attributes of a page type that declares none. Their values
 * are made by `table/pages/page-row.ts`.
 */
import type { AttributeDefinition, ScalarType, SourcePlace } from './definition.ts';

const TYPES: Readonly<Record<string, ScalarType>> = {
  id: 'ID',
  url: 'String',
  host: 'String',
  path: 'String',
  query: 'String',
  status: 'Int',
  contentType: 'String',
  size: 'Int',
  etag: 'String',
  storedAt: 'Date',
  freshUntil: 'Date',
  usableUntil: 'Date',
  state: 'String',
  groups: 'String',
  variant: 'String',
};

const IN_KEY: Readonly<Record<string, AttributeDefinition['inKey']>> = {
  url: 'start',
  host: 'start',
  path: 'afterHost',
};

export const pageAttributes = (place: SourcePlace): readonly AttributeDefinition[] =>
  Object.entries(TYPES).map(([name, type]) => ({
    name,
    type,
    list: name === 'groups',
    required: false,
    elementRequired: false,
    primaryKey: name === 'id',
    indexed: false,
    hidden: false,
    inKey: IN_KEY[name],
    place,
  }));
