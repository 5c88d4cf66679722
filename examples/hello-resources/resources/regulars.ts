/** Who comes often: a query written as objects, whose rows go out while they are found. */
import { Resource, tables } from 'millrace';

export class Regulars extends Resource {
  static description = 'Guests by their visits.';
  static public = ['read'] as const;

  static get() {
    const often = tables.Guest.search({
      conditions: [{ attribute: 'visits', comparator: 'greater_than', value: 0 }],
      sort: { attribute: 'visits', descending: true },
      select: ['name', 'visits'],
      limit: 10,
    });
    return often.map((guest, index) => ({ place: index + 1, ...guest }));
  }
}
