/**
 * The resources of a small application as they were written for Harper 4.6: classes over tables
 * with `loadAsInstance = false`, static methods, a cache over a source of its own. Nothing here was
 * changed to run on Millrace; `tables` and `Resource` are not even imported everywhere.
 */
import { Resource, tables } from 'harperdb';

const YEARS = { first: 15, second: 9, others: 5 };

/** Stands in front of the table: everybody may read, and answers say the age in human years. */
export class Dog extends tables.Dog {
  static loadAsInstance = false;

  allowRead() {
    return true;
  }

  async get(target) {
    const found = await super.get(target);
    if (target.isCollection || found === undefined) return found;
    return { ...found, humanYears: humanYears(found.age) };
  }

  async put(target, record) {
    if (typeof record.name !== 'string' || record.name === '') {
      const error = new Error('a dog needs a name');
      error.statusCode = 422;
      throw error;
    }
    return super.put(target, record);
  }

  /** `{ "action": "walk" }` counts one more walk, however many people count at a time. */
  async post(target, data) {
    if (data.action !== 'walk') {
      return { status: 400, headers: { 'x-known': 'walk' }, data: { known: ['walk'] } };
    }
    const dog = await this.update(target.id);
    dog.addTo('walks', 1);
    return { walked: target.id };
  }
}

const humanYears = (age) =>
  age < 1 ? 0 : age < 2 ? YEARS.first : YEARS.first + YEARS.second + (age - 2) * YEARS.others;

/** What the cache of breeds asks. A real one would fetch from somewhere. */
class BreedSource extends Resource {
  static asked = 0;

  async get() {
    const id = this.getId();
    const context = this.getContext();
    BreedSource.asked += 1;
    if (context.replacingRecord) return context.replacingRecord;
    if (id === 'unicorn') {
      const error = new Error('no such breed');
      error.statusCode = 404;
      throw error;
    }
    context.lastModified = Date.UTC(2025, 0, 1);
    return { origin: id === 'akita' ? 'Japan' : 'unknown', asked: BreedSource.asked };
  }
}

tables.Breed.sourcedFrom(BreedSource);

/** Calls of other resources inside one: three tables, one transaction. */
export class Adoption extends Resource {
  static loadAsInstance = false;

  allowCreate(user) {
    return user?.role?.permission?.super_user === true;
  }

  async post(_target, { dog, by }) {
    const found = await tables.Dog.get(dog);
    if (!found) {
      const error = new Error(`no dog ${dog}`);
      error.statusCode = 404;
      throw error;
    }
    await tables.Snippet.put({ id: dog, text: `${found.name} lives with ${by}` });
    await tables.Dog.delete(dog);
    return { adopted: found.name, by };
  }
}

/** The rest of the URL, query and all, is the id. */
export class Echo extends Resource {
  static loadAsInstance = false;
  static directURLMapping = true;

  allowRead() {
    return true;
  }

  get(target) {
    return { id: target.id };
  }
}

export class Names extends Resource {
  static loadAsInstance = false;

  allowRead() {
    return true;
  }

  /** A query object, and an answer that is made while it is sent. */
  async *get() {
    const query = {
      conditions: [{ attribute: 'age', comparator: 'greater_than', value: 2 }],
      sort: { attribute: 'name', descending: true },
      select: ['name', 'age'],
    };
    for await (const { name, age } of tables.Dog.search(query)) yield `${name} (${age})`;
  }
}
