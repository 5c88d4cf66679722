/**
 * API keys, as they are shown once and sent ever after: `mrk_ID_SECRET`. The prefix lets scanners
 * of repositories and logs find one that got out; the id finds its row, which holds a hash.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Directory } from './directory.ts';
import type { Verified } from './verified.ts';

export const API_KEY_PREFIX = 'mrk_';
const FORM = /^mrk_([0-9a-f]{16})_([\w-]{43})$/;

export interface MadeKey {
  readonly id: string;
  readonly key: string;
  readonly secretHash: string;
}

export function makeApiKey(): MadeKey {
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return { id, key: `${API_KEY_PREFIX}${id}_${secret}`, secretHash: hashOf(secret) };
}

export function verifyApiKey(key: string, directory: Directory): Verified | undefined {
  const [, id = '', secret = ''] = FORM.exec(key) ?? [];
  const row = directory.apiKey(id);
  const given = Buffer.from(hashOf(secret));
  if (row === undefined || !timingSafeEqual(given, Buffer.from(row.secretHash))) return undefined;
  return {
    via: 'key',
    username: row.username,
    until: row.expiresAt,
    row: { table: 'apiKey', id },
    scopes: row.scopes,
  };
}

const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');
