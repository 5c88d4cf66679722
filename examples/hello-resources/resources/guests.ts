/** A table with something added: what is not overridden stays as fast as the table itself. */
import { type RequestTarget, Resource, tables } from 'millrace';

/** Stands in front of the table Guest, at the same path. */
export class Guest extends tables.Guest {
  static async get(target: RequestTarget) {
    const found = await super.get(target);
    if (target.isCollection || found === undefined) return found;
    return { ...found, shortName: String(found.name).split(' ')[0] };
  }
}

/** `POST /guests/<id>/visit`: reads and writes in one transaction. */
export class Visit extends Resource {
  static path = '/guests/:guest/visit';
  static public = ['insert'] as const;

  static async post(target: RequestTarget) {
    const { guest = '' } = target.params;
    const found = await tables.Guest.get(guest);
    if (found === undefined) {
      throw Object.assign(new Error(`nobody signed as ${guest}`), { statusCode: 404 });
    }
    await tables.Guest.patch(guest, { visits: { __op__: 'add', value: 1 } });
    return { status: 202, headers: { 'x-guest': guest }, data: { welcome: found.name } };
  }
}
