/**
 * The airline's REST interface, as a cache likes to meet it: entity tags, dates, `Cache-Control`,
 * and 304 for those who ask with `If-None-Match` or `If-Modified-Since`. Airports are answered only
 * after `LATENCY_MS`, as from a slow back-office system far away; that is what there is to be won.
 *
 *   GET /airports  /airports/SFO  /flights  /flights/HY100  /flights/stream  /shapes/land-110m
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { conditionsSince, withConditions } from './airports.js';
import { airportsShape, landShape } from './shapes.js';

const LATENCY_MS = 150;
const AIRPORT_CACHING = 'max-age=8, stale-while-revalidate=20, stale-if-error=86400';

/** Returns a listener for `http.createServer`. */
export function restInterface({ airports, simulation, stream, startedAt, log }) {
  const shapes = new Map([landShape(), airportsShape(airports)].map((shape) => [shape.id, shape]));
  const healthy = () => ({ body: { ok: true } });
  const routes = { airports: oneAirport, flights: oneFlight, shapes: oneShape, healthz: healthy };

  return async (request, response) => {
    const [, collection, id] = request.url.split('?')[0].split('/');
    if (collection === 'flights' && id === 'stream') return stream.attach(request, response);
    const found = Object.hasOwn(routes, collection) ? await routes[collection](id) : undefined;
    const status = reply(request, response, found);
    log(`${request.method} ${request.url} ${status}`);
  };

  async function oneAirport(id) {
    await sleep(LATENCY_MS);
    const now = Date.now();
    if (id === undefined) {
      return { body: [...airports.values()], caching: AIRPORT_CACHING, changedAt: startedAt };
    }
    const airport = airports.get(id);
    return (
      airport && {
        body: withConditions(airport, now),
        caching: AIRPORT_CACHING,
        changedAt: conditionsSince(airport, now),
      }
    );
  }

  function oneFlight(id) {
    const body = id === undefined ? simulation.flights : simulation.flight(id);
    return body && { body, caching: 'max-age=1', changedAt: Date.now() };
  }

  function oneShape(id) {
    const body = shapes.get(id);
    return body && { body, caching: 'public, max-age=86400, immutable', changedAt: startedAt };
  }
}

function reply(request, response, answer) {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return send(response, 405, { allow: 'GET, HEAD' }, '');
  }
  if (answer === undefined) {
    const body = JSON.stringify({ title: 'Not Found', status: 404 });
    return send(response, 404, { 'content-type': 'application/problem+json' }, body);
  }
  const body = JSON.stringify(answer.body);
  const entityTag = `"${createHash('sha1').update(body).digest('base64url').slice(0, 16)}"`;
  const changedAt = Math.floor((answer.changedAt ?? Date.now()) / 1000) * 1000;
  const headers = {
    'cache-control': answer.caching ?? 'no-store',
    etag: entityTag,
    'last-modified': new Date(changedAt).toUTCString(),
  };
  if (isUnchanged(request.headers, entityTag, changedAt)) return send(response, 304, headers);
  headers['content-type'] = 'application/json';
  return send(response, 200, headers, request.method === 'HEAD' ? undefined : body);
}

/** A tag, when there is one, decides alone [RFC9110 §13.2.2]. */
function isUnchanged(headers, entityTag, changedAt) {
  const tags = headers['if-none-match'];
  if (tags !== undefined) {
    return tags.split(',').some((tag) => ['*', entityTag].includes(tag.trim().replace('W/', '')));
  }
  return Date.parse(headers['if-modified-since'] ?? '') >= changedAt;
}

function send(response, status, headers, body) {
  response.writeHead(status, headers);
  response.end(body);
  return status;
}
