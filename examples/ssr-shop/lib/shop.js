// What pages are made of. Plain `fetch`, cached by Next.js for an hour: a change of a product ends
// what was cached of it, here and in the pages, so an hour is never too long.
const NODE = process.env.MILLRACE_URL;
const WAREHOUSE = process.env.WAREHOUSE_URL;
const HOUR = 3600;

export const products = () => read(`${NODE}/Product/?sort(id)`, { revalidate: HOUR });

export const product = (id) =>
  read(`${NODE}/Product/${encodeURIComponent(id)}`, { revalidate: HOUR });

/** Not a record of the node: it is known by its tag, and `revalidateTag` ends it. */
export const note = () => read(`${WAREHOUSE}/note`, { revalidate: HOUR, tags: ['note'] });

async function read(url, next) {
  // A build has neither node nor warehouse: its pages are rendered when they are first asked for.
  if (process.env.NEXT_PHASE === 'phase-production-build') return undefined;
  const response = await fetch(url, { next });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.json();
}
