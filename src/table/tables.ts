/**
 * All tables of the node, by name and by the path under which they are exported.
 */
import type { TableName } from '../base/brands.ts';
import type { Table } from './table.ts';

export class Tables {
  readonly #byName = new Map<string, Table>();
  readonly #byExport = new Map<string, Table>();

  add(table: Table): void {
    this.#byName.set(table.name, table);
    const exported = table.definition.export?.name;
    if (exported !== undefined) this.#byExport.set(exported, table);
  }

  /** By `database.table`, table name, or type name. */
  get(name: TableName | string): Table | undefined {
    return this.#byName.get(name) ?? this.all().find((table) => table.definition.typeName === name);
  }

  /** By the first segments of a URL path. */
  exported(segment: string): Table | undefined {
    return this.#byExport.get(segment);
  }

  all(): readonly Table[] {
    return [...this.#byName.values()];
  }
}
