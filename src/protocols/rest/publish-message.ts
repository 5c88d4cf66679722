/**
 * A message to those who follow a record: it is delivered and not stored. Protocols that carry
 * requests of their own bring it as the method `PUBLISH`, which HTTP clients have not.
 */
import { authorise } from '../../access/authorise.ts';
import { NodeError } from '../../base/errors.ts';
import { recordIdFromUrl } from '../../table/record-key.ts';
import { MESSAGE_METHOD } from '../http/internal-exchange.ts';
import type { Exchange } from '../http/port.ts';
import type { RestResource } from './resource.ts';
import type { Rest, RestParts } from './rest.ts';
import { identify, type RestCall, refuse } from './rest-call.ts';
import { positionOf } from './write-record.ts';

export function createPublish(parts: RestParts): Rest {
  return (exchange: Exchange, resource: RestResource, rest: string) => {
    const principal = identify(exchange, parts);
    if (principal === undefined) return undefined;
    return publishMessage({ exchange, resource, rest, principal, limits: parts.limits });
  };
}

/** Rejects with `KEY_INVALID`, `BODY_TOO_LARGE`, and as writes do. */
async function publishMessage(call: RestCall): Promise<void> {
  const { exchange, resource, rest, principal, limits } = call;
  const { table } = resource;
  const { definition } = table;
  const startedAt = resource.monotonic();
  if (rest.length <= 1 || definition.pages !== undefined) throw noTopic(definition.typeName);
  const id = recordIdFromUrl(definition, rest.slice(1));
  const verdict = authorise(principal, definition, 'publish', id);
  if (verdict !== 'allowed') return refuse(exchange, definition, 'publish', verdict);
  const contentType = exchange.request.header('content-type');
  const outcome = await table.publish(id, await exchange.body(limits.bytesMax), { contentType });
  const position = 'sequence' in outcome ? positionOf(call, outcome.sequence) : [];
  exchange.reply(204, position);
  resource.meter.answered(MESSAGE_METHOD, 204, 'written', startedAt, 0);
}

const noTopic = (typeName: string): NodeError =>
  new NodeError('METHOD_NOT_ALLOWED', `messages go to a record, as /${typeName}/some-key`, {
    blame: 'client',
  });
