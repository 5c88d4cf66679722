/** Rows by the hundred thousand, brought into a table as NDJSON by one streamed request. */

const PIECE_ROWS = 500;

function* pieces(count: number, row: (index: number) => object): Generator<Buffer> {
  for (let at = 0; at < count; at += PIECE_ROWS) {
    const rows = Array.from({ length: Math.min(PIECE_ROWS, count - at) }, (_, index) =>
      JSON.stringify(row(at + index)),
    );
    yield Buffer.from(`${rows.join('\n')}\n`);
  }
}

/** Resolves once all rows were acknowledged; rejects when one was not. */
export async function bringRows(
  url: string,
  table: string,
  count: number,
  row: (index: number) => object,
): Promise<void> {
  const body = Buffer.concat([...pieces(count, row)]);
  const response = await fetch(`${url}/${table}/?onError=stop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${table}: ${response.status} ${text}`);
}
