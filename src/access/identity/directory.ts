/**
 * Reads the system tables, on any thread. Every read sees what was committed before it began; the
 * rows are small and few are read, so nothing is cached here.
 */
import type { RecordId, TableName } from '../../base/brands.ts';
import { LIMITS } from '../../config/limits.ts';
import type { StoreReader } from '../../table/store-port.ts';
import type {
  ApiKeyRow,
  RevocationRow,
  RoleRow,
  SessionRow,
  SigningKeyRow,
  UserRow,
} from './rows.ts';
import { SYSTEM } from './system-tables.ts';

const decoder = new TextDecoder();

export class Directory {
  readonly #reader: StoreReader;

  constructor(reader: StoreReader) {
    this.#reader = reader;
  }

  /** Moves, before it is acknowledged, with every change of who may sign in. */
  version(): number {
    return this.#reader.watchedVersion();
  }

  user(name: string): UserRow | undefined {
    return this.#row<UserRow>(SYSTEM.user, name);
  }
  role(name: string): RoleRow | undefined {
    return this.#row<RoleRow>(SYSTEM.role, name);
  }
  apiKey(id: string): ApiKeyRow | undefined {
    return this.#row<ApiKeyRow>(SYSTEM.apiKey, id);
  }
  session(id: string): SessionRow | undefined {
    return this.#row<SessionRow>(SYSTEM.session, id);
  }
  revocation(id: string): RevocationRow | undefined {
    return this.#row<RevocationRow>(SYSTEM.revocation, id);
  }
  signingKey(id: string): SigningKeyRow | undefined {
    return this.#row<SigningKeyRow>(SYSTEM.signingKey, id);
  }

  users(): readonly UserRow[] {
    return [...this.rows<UserRow>(SYSTEM.user)];
  }
  roles(): readonly RoleRow[] {
    return [...this.rows<RoleRow>(SYSTEM.role)];
  }
  apiKeys(): readonly ApiKeyRow[] {
    return [...this.rows<ApiKeyRow>(SYSTEM.apiKey)];
  }
  sessions(): readonly SessionRow[] {
    return [...this.rows<SessionRow>(SYSTEM.session)];
  }
  signingKeys(): readonly SigningKeyRow[] {
    return [...this.rows<SigningKeyRow>(SYSTEM.signingKey)];
  }

  /** Whether anybody was made by operation. */
  hasUsers(): boolean {
    return this.#reader.tableSize(SYSTEM.user).entries > 0;
  }

  /** Rows of a table, of any kind. */
  count(table: TableName): number {
    return this.#reader.tableSize(table).entries;
  }

  /** The rows of a table in key order, from behind `after`. */
  *rows<Row>(
    table: TableName,
    after?: string | undefined,
    max: number = LIMITS.systemRowsMax,
  ): Generator<Row> {
    let next = after as RecordId | undefined;
    let left = max;
    do {
      const found: Row[] = [];
      const page = this.#reader.scan(table, { after: next, limit: PAGE }, (entry) => {
        if (entry.kind === 'record') found.push(JSON.parse(decoder.decode(entry.body)) as Row);
        return true;
      });
      yield* found.slice(0, left);
      left -= found.length;
      next = page.next;
    } while (next !== undefined && left > 0);
  }

  #row<Row>(table: TableName, id: string): Row | undefined {
    if (id === '' || id.length > LIMITS.nameCharsMax) return undefined;
    return this.#reader.withEntry(table, id as RecordId, '', (entry) =>
      entry?.kind === 'record' ? (JSON.parse(decoder.decode(entry.body)) as Row) : undefined,
    );
  }
}

const PAGE = 200;
