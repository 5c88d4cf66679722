// One sack less in the warehouse. Nothing is purged here: the warehouse tells the node, the node the
// pages.
export async function POST(request) {
  const { id } = await request.json();
  const url = `${process.env.WAREHOUSE_URL}/products/${encodeURIComponent(id)}/sale`;
  const { status } = await fetch(url, { method: 'POST', cache: 'no-store' });
  return new Response(null, { status: status === 200 ? 204 : status });
}
