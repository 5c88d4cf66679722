/**
 * A stand-in for somebody else's service: a warehouse with a REST interface and a stream of changes,
 * in a process of its own. It knows nothing of Millrace.
 *
 *   node origin/main.js        then   curl http://127.0.0.1:<port>/products/3
 *
 * Environment: `PORT` (0: any free one), `CHANGE_EVERY_MS` (a price or a stock changes by itself; 0:
 * never), `ANSWER_AFTER_MS`. Prints `origin ready <address>` once it listens.
 */
import { createServer } from 'node:http';
import { note, products } from './stock.js';

const { PORT = '0', CHANGE_EVERY_MS = '4000', ANSWER_AFTER_MS = '60' } = process.env;
const BODY_BYTES_MAX = 10_000;

const shelf = new Map(products.map((product) => [product.id, product]));
const followers = new Set();
let said = note;
let lastId = 0;

function change(id, changes) {
  const product = { ...shelf.get(id), ...changes };
  shelf.set(id, product);
  lastId += 1;
  for (const response of followers) response.write(event(product));
  return product;
}

const event = (product) => `id: ${lastId}\ndata: ${JSON.stringify(product)}\n\n`;

function follow(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  // Who comes, or comes back, is told how everything stands.
  response.write([...shelf.values()].map(event).join(''));
  followers.add(response);
  response.on('close', () => followers.delete(response));
}

async function answer(request, response) {
  const [, kind, id, verb] = new URL(request.url, 'http://warehouse').pathname.split('/');
  if (kind === 'changes') return follow(response);
  await new Promise((resolve) => setTimeout(resolve, Number(ANSWER_AFTER_MS)));
  if (kind === 'note' && request.method === 'PUT') said = { text: await bodyOf(request) };
  if (kind === 'note') return json(response, said);
  if (kind !== 'products') return json(response, { error: 'nothing here' }, 404);
  if (id === undefined) return json(response, [...shelf.values()]);
  const product = shelf.get(decodeURIComponent(id));
  if (product === undefined) return json(response, { error: 'no such product' }, 404);
  if (request.method === 'GET') return json(response, product);
  if (request.method === 'PATCH') {
    return json(response, change(product.id, JSON.parse(await bodyOf(request))));
  }
  if (verb !== 'sale') return json(response, { error: 'not here' }, 405);
  if (product.stock === 0) return json(response, { error: 'sold out' }, 409);
  json(response, change(product.id, { stock: product.stock - 1 }));
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > BODY_BYTES_MAX) throw new Error('too long');
  }
  return text;
}

function json(response, value, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** The market: some price moves a little, or the mill brings sacks. */
function drift() {
  const all = [...shelf.values()];
  const one = all[Math.floor(Math.random() * all.length)];
  const step = Math.random() < 0.5 ? -5 : 5;
  if (one.stock < 5) change(one.id, { stock: one.stock + 20 });
  else change(one.id, { price: Math.max(100, one.price + step) });
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    if (!response.headersSent) json(response, { error: error.message }, 400);
    else response.destroy();
  });
});
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`origin ready http://127.0.0.1:${server.address().port}`);
});
const timer = CHANGE_EVERY_MS === '0' ? undefined : setInterval(drift, Number(CHANGE_EVERY_MS));

function stop() {
  clearInterval(timer);
  server.close(() => process.exit(0));
  server.closeAllConnections();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
// The parent's end of this channel closes when the parent dies, however it dies.
process.on('disconnect', stop);
