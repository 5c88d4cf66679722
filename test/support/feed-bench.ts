/**
 * A fan-out over a fake change source, with turns run by hand: `settle` runs them until nothing is
 * left to do.
 */
import { tableName } from '../../src/base/brands.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Fanout, type FanoutOptions } from '../../src/feed/fanout.ts';
import type { Sink } from '../../src/feed/sink.ts';
import type { Subscription, SubscriptionRequest } from '../../src/feed/subscriber.ts';
import type { AttributeDefinition, TableDefinition } from '../../src/schema/definition.ts';
import { FakeChangeSource } from './fake-change-source.ts';
import { FakeSink } from './fake-sink.ts';

export const FLIGHT = tableName('Flight');
const place = { file: 'schema.graphql', line: 1, column: 1 };

const attribute = (name: string, type: AttributeDefinition['type'], indexed = false) => ({
  ...{ name, type, indexed, list: false, required: false, elementRequired: false },
  ...{ primaryKey: name === 'id', hidden: false, place },
});

export const flightTable: TableDefinition = {
  ...{ name: FLIGHT, typeName: 'Flight', database: 'data', primaryKey: 'id' },
  attributes: [
    attribute('id', 'ID'),
    attribute('v', 'Int'),
    attribute('airport', 'String', true),
    attribute('gate', 'String'),
    attribute('late', 'Boolean'),
  ],
  ...{ primaryKeyType: 'string', sealed: false, hidden: false, replicate: true, history: false },
  export: { name: 'Flight', public: new Set(), protocols: new Set(['websocket', 'sse']) },
  place,
} as TableDefinition;

export class FeedBench {
  readonly source = new FakeChangeSource();
  readonly fanout: Fanout;
  readonly #turns: (() => void)[] = [];

  constructor(options: Partial<FanoutOptions> = {}) {
    this.fanout = new Fanout({
      source: this.source,
      clock: systemClock,
      soon: (fn) => this.#turns.push(fn),
      ...options,
    });
    this.fanout.start();
  }

  get turnsWaiting(): number {
    return this.#turns.length;
  }

  /** Runs one turn of the event loop. */
  async turn(): Promise<boolean> {
    await Promise.resolve();
    const turn = this.#turns.shift();
    turn?.();
    return turn !== undefined;
  }

  async settle(): Promise<void> {
    for (let turns = 0; turns < 100_000; turns += 1) if (!(await this.turn())) return;
    throw new Error('the fan-out does not come to rest');
  }

  subscribe(
    request: Partial<SubscriptionRequest> & Pick<SubscriptionRequest, 'kind'>,
    sink = new FakeSink(),
  ): FakeSink {
    sink.subscription = this.open(request, sink);
    sink.subscription.begin();
    return sink;
  }

  open(
    request: Partial<SubscriptionRequest> & Pick<SubscriptionRequest, 'kind'>,
    sink: Sink,
  ): Subscription {
    const base = { table: flightTable, protocol: 'websocket' as const };
    return this.fanout.subscribe({ ...base, ...request } as SubscriptionRequest, sink);
  }
}
